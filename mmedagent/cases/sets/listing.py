"""`mmedagent data list`: the data sets, their versions, whether they are here, and up to date."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mmedagent import atomic
from mmedagent.cases.sets.census import count_images
from mmedagent.cases.sets.lock import DATA, Locked, read_lock
from mmedagent.cases.writer import MANIFEST
from mmedagent.errors import BadDataError, UsageError
from mmedagent.recipes.declarations import read_declarations
from mmedagent.recipes.params import DATA_SETS, PARAMS
from mmedagent.recipes.sets import DataSetRecipe
from mmedagent.storage.dvc_command import dvc

INGEST = "ingest.json"
_COUNTS = Path(".cache/image-counts")


@dataclass(frozen=True)
class Listed:
    """One data set."""

    name: str
    source: str
    md5: str | None
    """What `dvc.lock` pins; None when the set was never made."""
    digest: str | None
    """Of the manifest in the working tree."""
    cases: int | None
    images: int | None
    """Distinct encoded images; None where the version is not here."""
    here: str
    """`yes`, `no`, or how the working tree differs from `dvc.lock`."""
    up_to_date: str
    """`yes`, or what changed since the version was made."""


def list_sets(root: Path) -> list[Listed]:
    """Return all data sets of the repository: those declared, and DVC's other outputs in `data`.

    Raises `UsageError` outside a checkout, `StorageError` when DVC fails.
    """
    stages = _stages(root)
    declared = read_declarations(root)
    pinned = {
        Path(path).name: p for path, p in read_lock(root).items() if Path(path).parent == DATA
    }
    made = {name for name, out in stages.items() if out.parent == DATA}
    names = sorted({*declared, *made})
    status = _status(root, [name for name in names if name in stages])
    params = yaml.safe_load((root / PARAMS).read_text(encoding="utf-8")) or {}
    return [
        _listed(root, name, declared.get(name), pinned.get(name), status, params) for name in names
    ]


def read_report(folder: Path) -> dict[str, Any] | None:
    """Return what a version's ingest reported; None for a version without one (the starter set)."""
    path = folder / INGEST
    return dict(json.loads(path.read_bytes())) if path.is_file() else None


def _listed(
    root: Path,
    name: str,
    recipe: DataSetRecipe | None,
    pinned: Locked | None,
    status: Mapping[str, Any],
    params: Mapping[str, Any],
) -> Listed:
    folder = root / DATA / name
    here, stale = _changes(status.get(name, []))
    manifest = _manifest(folder)
    if manifest is None:
        here = "damaged" if folder.is_dir() else "no"
    stated = (params.get(DATA_SETS) or {}).get(name)
    if recipe is not None and stated != recipe.model_dump(mode="json"):
        stale.append("declaration (`make params`)")
    return Listed(
        name=name,
        source=recipe.source.name if recipe else "-",
        md5=pinned.md5 if pinned else None,
        digest=str(manifest["digest"]) if manifest else None,
        cases=count_cases(manifest) if manifest else None,
        images=_images(root, folder, str(manifest["digest"])) if manifest else None,
        here=here,
        up_to_date=(", ".join(stale) or "yes") if pinned else "never made",
    )


def count_cases(manifest: Mapping[str, Any]) -> int:
    """Return how many cases a manifest speaks of."""
    return sum(int(facts["rows"]) for facts in manifest["files"].values())


def _manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest as it lies there, unverified: whether files differ is for DVC to say."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        count_cases(manifest)
        return manifest if manifest["digest"] else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _images(root: Path, folder: Path, digest: str) -> int | None:
    """Return the version's number of images, counted once for each digest; None when damaged."""
    place = root / _COUNTS / f"{digest}.json"
    if place.is_file():
        return int(json.loads(place.read_bytes()))
    try:
        counted = count_images(folder)
    except BadDataError:
        return None
    atomic.write_json(place, counted)
    return counted


def _changes(entries: list[Any]) -> tuple[str, list[str]]:
    """Return (`yes` or how the output differs, what else changed) of a stage in DVC's status."""
    outs, inputs = "yes", []
    for entry in entries:
        if entry == "changed command":
            inputs.append("command")
        elif isinstance(entry, dict):
            for state in entry.get("changed outs", {}).values():
                outs = "changed" if state == "modified" else str(state)
            for path, state in entry.get("changed deps", {}).items():
                inputs.append(_dependency(path, state))
    return outs, list(dict.fromkeys(inputs))


def _dependency(path: str, state: Any) -> str:
    if path == str(PARAMS):
        return "parameters"
    if path.startswith("mmedagent/"):
        return "code"
    missing = " (missing)" if state == "deleted" else ""
    return ("release" if path.startswith("data/releases/") else path) + missing


def _stages(root: Path) -> dict[str, Path]:
    """Return stage -> its output, for stages with one output."""
    path = root / "dvc.yaml"
    if not path.is_file():
        raise UsageError(f"no dvc.yaml in {root}: run this in a checkout of the project")
    stages = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("stages") or {}
    outs = {name: stage.get("outs", []) for name, stage in stages.items()}
    first = {name: out[0] for name, out in outs.items() if len(out) == 1}
    return {n: Path(next(iter(o)) if isinstance(o, dict) else o) for n, o in first.items()}


def _status(root: Path, names: list[str]) -> dict[str, Any]:
    if not names:
        return {}
    found: dict[str, Any] = json.loads(dvc(root, ["status", "--json", *names]))
    return found
