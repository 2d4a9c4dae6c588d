"""What a run needs before it starts: the object store, and the DVC stages built and pushed."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from mmedagent.atomic import write_json
from mmedagent.cases.sets.lock import read_lock
from mmedagent.cases.sets.revisions import manifest_of
from mmedagent.cases.sets.working import checked_data, is_pinned, pinned_data
from mmedagent.digests import digest_value
from mmedagent.errors import BadDataError, UsageError
from mmedagent.recipes.params import DATA_SETS, DVC_SECTIONS, PARAMS, data_sets
from mmedagent.recipes.schema import Recipe
from mmedagent.storage.dvc_command import dvc_aloud
from pipelines.plan import Versions

STARTER = "starter"
OUTPUTS = {"base": "models/base", "panel": "models/panel"}
"""Version name -> the folder that a DVC stage makes; the data is `data/NAME`."""
STAGES = (STARTER, "base", "panel")
"""What is built before every run: the tiny base's words and the panel's training come from the
starter set, whatever data a run is on."""
LOCK = "dvc.lock"


def check_checkout(root: Path, recipe: Recipe) -> None:
    """See that `root` is a checkout, and that `recipe` asks for what its DVC stages make.

    Raises:
        UsageError: no `dvc.yaml`, or the recipe differs from `params.yaml` in a section that is
            used before the run and not in it: it would be ignored in silence.
    """
    if not (root / "dvc.yaml").is_file():
        raise UsageError(f"no dvc.yaml in {root}: run this in a checkout of the project")
    params = yaml.safe_load((root / PARAMS).read_text(encoding="utf-8"))
    if params.get(DATA_SETS, {}) != data_sets(root).get(DATA_SETS, {}):
        raise UsageError(
            f"{PARAMS} is not what the declarations in data/sets say: `make params` writes it"
        )
    values = recipe.model_dump(mode="json")
    for section in DVC_SECTIONS:
        for path, asked, built in _differences(section, values[section], params.get(section)):
            raise UsageError(
                f"{path} is {asked!r} in the recipe and {built!r} in {PARAMS}. The DVC stages"
                f" {', '.join(STAGES)} are built from {PARAMS} before a run: set it there too"
                f" (`make params RECIPE={recipe.name}` writes all of a recipe's)"
            )


def read_versions(root: Path, data: str = STARTER) -> Versions:
    """Return the versions of data, base and panel that `dvc.lock` pins.

    Raises:
        BadDataError: a stage has not been built yet.
        UsageError: `data` is no set or revision, or `dvc.lock` pins another version of it.
    """
    if not (root / LOCK).is_file():
        raise BadDataError(f"no {LOCK} in {root}: `dvc repro` builds the stages")
    lock = read_lock(root)
    missing = [path for path in OUTPUTS.values() if path not in lock]
    if data == STARTER and f"data/{STARTER}" not in lock:
        missing.insert(0, f"data/{STARTER}")
    if missing:
        raise BadDataError(f"{LOCK} has no version of {', '.join(missing)}: `dvc repro` makes them")
    planned = pinned_data(root, data)
    return Versions(
        data=planned.md5,
        **{name: lock[path].md5 for name, path in OUTPUTS.items()},
        name=planned.name,
        revision=planned.revision,
    )


def checked_versions(root: Path, data: str) -> Versions:
    """Return `read_versions` of a run that starts now: the working tree has no other data.

    Raises:
        BadDataError: also where the files in `data/NAME` are not the pinned version's.
        StorageError: the version's manifest is neither here nor in the object store.
    """
    versions = read_versions(root, data)
    checked_data(root, data)
    manifest = manifest_of(root, versions.name, versions.data)
    return replace(versions, manifest=str(manifest["digest"]))


def check_working_tree(root: Path, data: str) -> str:
    """See that the working tree's data is the revision `data` before anything is built; its name.

    A starter set that was never built is no other version: it is built first.

    Raises:
        BadDataError: the files in `data/NAME` are not the pinned version's.
        UsageError: there is no such data set or revision, or `dvc.lock` pins another version.
    """
    if data == STARTER and not is_pinned(root, STARTER):
        return STARTER
    return checked_data(root, data).name


def build_stages(root: Path, home: Path, say: Callable[[str], None], data: str = STARTER) -> None:
    """Bring the DVC stages up to date and push their outputs, unless nothing has changed.

    The data set `data` is pushed as it is pinned; only the starter set is built. DVC takes seconds
    to find that out; a stamp over the stages' definitions and the sizes and times
    of all files in their dependencies and outputs takes milliseconds.

    Raises:
        BadDataError: a stage failed; its own message was shown.
    """
    stamp = home / "runs" / "storage" / "dvc-stamp.json"
    stages = tuple(dict.fromkeys((*STAGES, data)))
    if stamp.exists() and json.loads(stamp.read_text()) == _stamp(root, stages):
        return
    for words in (["repro", *STAGES], ["push", *stages]):
        say(f"dvc {' '.join(words)}")
        code = dvc_aloud(root, words)
        if code != 0:
            raise BadDataError(f"`dvc {' '.join(words)}` failed (exit {code}), see above")
    write_json(stamp, _stamp(root, stages))


def _stamp(root: Path, names: Sequence[str] = STAGES) -> dict[str, str]:
    """Return what decides whether DVC has anything to do."""
    definition = root / "dvc.yaml"
    stages = yaml.safe_load(definition.read_text(encoding="utf-8"))["stages"]
    places = [LOCK, "dvc.yaml", str(PARAMS), ".dvc/config", ".dvc/config.local"]
    for name in names:
        stage = stages.get(name, {})
        places += [str(_path_of(entry)) for key in ("deps", "outs") for entry in stage.get(key, [])]
    return {place: _fingerprint(root / place) for place in places}


def _path_of(entry: Any) -> Any:
    return next(iter(entry)) if isinstance(entry, dict) else entry


def _fingerprint(path: Path) -> str:
    """Return a digest of names, sizes and times below `path`; of a small file, of its content."""
    if path.is_file() and path.stat().st_size < 1 << 20:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    files = sorted(f for f in [path, *path.rglob("*")] if f.is_file() and f.suffix != ".pyc")
    stats = {str(f.relative_to(path.parent)): f.stat() for f in files}
    return digest_value({name: [s.st_size, s.st_mtime_ns] for name, s in stats.items()})


def _differences(path: str, asked: Any, built: Any) -> list[tuple[str, Any, Any]]:
    if isinstance(asked, dict) and isinstance(built, dict):
        found = [
            _differences(f"{path}.{key}", asked.get(key), built.get(key))
            for key in sorted({*asked, *built})
        ]
        return [difference for part in found for difference in part]
    return [] if asked == built else [(path, asked, built)]
