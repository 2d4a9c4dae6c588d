"""The data version that a run is asked for, against what the working tree has."""

import json
from dataclasses import dataclass
from pathlib import Path

from mmedagent import atomic
from mmedagent.cases.sets.lock import DATA, LOCK, folder_md5, read_lock
from mmedagent.cases.sets.revisions import Revision, find, manifest_of
from mmedagent.digests import digest_value
from mmedagent.errors import BadDataError, UsageError

_CHECKED = Path(".cache/checked-data.json")
"""Folder -> sizes and times of its files when its content was last compared, and its md5."""


@dataclass(frozen=True)
class PlannedData:
    """The data version of a run."""

    name: str
    revision: str | None
    """As the user named it; None is what the working tree's `dvc.lock` pins."""
    md5: str
    """DVC's, of the folder."""


def pinned_data(root: Path, text: str) -> PlannedData:
    """Return the version `text`, which the working tree's `dvc.lock` has to pin.

    Raises:
        UsageError: no such set or revision, or the working tree's `dvc.lock` pins another version.
    """
    wanted = find(root, text)
    if wanted.name is None:
        raise UsageError(f"--data {text}: say which set it is: NAME@{text}")
    _check_lock(root, wanted, text)
    return PlannedData(wanted.name, wanted.revision, _pinned(root, wanted.name))


def checked_data(root: Path, text: str) -> PlannedData:
    """Return the version `text` after seeing that the working tree has it and no other.

    A version that is not here at all is no other: a run's first step fetches it.

    Raises:
        UsageError: as `pinned_data`.
        BadDataError: the files in `data/NAME` are not those of the version.
    """
    planned = pinned_data(root, text)
    folder = root / DATA / planned.name
    if folder.is_dir():
        there = _content(root, folder)
        if there != planned.md5:
            raise BadDataError(
                f"data/{planned.name} is not the version that {LOCK} pins: its files have the md5"
                f" {there[:8]}, pinned is {planned.md5[:8]}. `dvc checkout {planned.name}` or"
                f" `mmedagent data pull {planned.name}` puts the pinned version there; `dvc commit"
                f" {planned.name}` pins what is there"
            )
    return planned


def is_pinned(root: Path, name: str) -> bool:
    """Tell whether `dvc.lock` pins a version of the set: a stage that never ran has none."""
    return (DATA / name).as_posix() in read_lock(root)


def _check_lock(root: Path, wanted: Revision, text: str) -> None:
    name = str(wanted.name)
    if not is_pinned(root, name):
        raise UsageError(
            f"--data {text}: {LOCK} pins no version of {name}: `dvc repro {name}` makes one,"
            f" `git checkout REVISION -- {LOCK}` takes that of a revision"
        )
    pinned = _pinned(root, name)
    same = (
        str(manifest_of(root, name, pinned)["digest"]) == wanted.version
        if wanted.by_manifest
        else pinned == wanted.version
    )
    if not same:
        raise UsageError(
            f"--data {text} is version {wanted.version[:8]}, and the working tree's {LOCK} pins"
            f" {name} at {pinned[:8]}: check that revision out (`git checkout {wanted.revision} --"
            f" {LOCK} dvc.yaml params.yaml data/sets`, then `mmedagent data pull {name}`), or run"
            f" on what is here (`--data {name}`)"
        )


def _pinned(root: Path, name: str) -> str:
    return read_lock(root)[(DATA / name).as_posix()].md5


def _content(root: Path, folder: Path) -> str:
    """Return the md5 of a folder's content; one whose files' sizes and times stand is not read."""
    place, key = root / _CHECKED, folder.relative_to(root).as_posix()
    try:
        checked = dict(json.loads(place.read_bytes()))
    except (OSError, ValueError, TypeError):
        checked = {}
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    stats = {path.relative_to(folder).as_posix(): path.stat() for path in files}
    seen = digest_value({name: [s.st_size, s.st_mtime_ns] for name, s in stats.items()})
    known = checked.get(key)
    if isinstance(known, list) and known[0] == seen:
        return str(known[1])
    md5 = folder_md5(folder)
    atomic.write_json(place, checked | {key: [seen, md5]})
    return md5
