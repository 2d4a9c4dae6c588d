"""What a run needs before it starts: the object store, and the DVC stages built and pushed."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from mmedagent.atomic import write_json
from mmedagent.digests import digest_value
from mmedagent.errors import BadDataError, UsageError
from mmedagent.recipes.params import DVC_SECTIONS, PARAMS
from mmedagent.recipes.schema import Recipe
from pipelines.plan import Versions

OUTPUTS = {"data": "data/starter", "base": "models/base", "panel": "models/panel"}
"""Version name -> the folder that a DVC stage makes."""
STAGES = ("starter", "base", "panel")
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
    values = recipe.model_dump(mode="json")
    for section in DVC_SECTIONS:
        for path, asked, built in _differences(section, values[section], params.get(section)):
            raise UsageError(
                f"{path} is {asked!r} in the recipe and {built!r} in {PARAMS}. The DVC stages"
                f" {', '.join(STAGES)} are built from {PARAMS} before a run: set it there too"
                f" (`make params RECIPE={recipe.name}` writes all of a recipe's)"
            )


def read_versions(root: Path) -> Versions:
    """Return the versions of data, base and panel that `dvc.lock` pins.

    Raises:
        BadDataError: a stage has not been built yet.
    """
    try:
        lock = yaml.safe_load((root / LOCK).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadDataError(f"no {LOCK} in {root}: `dvc repro` builds the stages") from None
    outs = {
        out["path"]: out.get("md5", "")
        for stage in lock.get("stages", {}).values()
        for out in stage.get("outs", [])
    }
    missing = [path for path in OUTPUTS.values() if not outs.get(path)]
    if missing:
        raise BadDataError(f"{LOCK} has no version of {', '.join(missing)}: `dvc repro` makes them")
    return Versions(**{name: outs[path].removesuffix(".dir") for name, path in OUTPUTS.items()})


def build_stages(root: Path, home: Path, say: Callable[[str], None]) -> None:
    """Bring the DVC stages up to date and push their outputs, unless nothing has changed.

    DVC takes seconds to find that out; a stamp over the stages' definitions and the sizes and times
    of all files in their dependencies and outputs takes milliseconds.

    Raises:
        BadDataError: a stage failed; its own message was shown.
    """
    stamp = home / "runs" / "storage" / "dvc-stamp.json"
    if stamp.exists() and json.loads(stamp.read_text()) == _stamp(root):
        return
    for words in (["repro", *STAGES], ["push", *STAGES]):
        say(f"dvc {' '.join(words)}")
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        # A stage says `python`: it means the one that runs this.
        environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "PATH": path}
        done = subprocess.run([sys.executable, "-m", "dvc", *words], cwd=root, env=environment)
        if done.returncode != 0:
            raise BadDataError(
                f"`dvc {' '.join(words)}` failed (exit {done.returncode}), see above"
            )
    write_json(stamp, _stamp(root))


def _stamp(root: Path) -> dict[str, str]:
    """Return what decides whether DVC has anything to do."""
    definition = root / "dvc.yaml"
    stages = yaml.safe_load(definition.read_text(encoding="utf-8"))["stages"]
    places = [LOCK, "dvc.yaml", str(PARAMS), ".dvc/config", ".dvc/config.local"]
    for name in STAGES:
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
