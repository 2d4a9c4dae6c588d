"""`mmedagent data pull`: brings a version of a data set, verified."""

from dataclasses import dataclass
from pathlib import Path

from mmedagent.cases.sets.lock import DATA, folder_md5, read_lock
from mmedagent.cases.sets.revisions import Revision, bring, find, in_cache
from mmedagent.cases.store import read_manifest
from mmedagent.errors import BadDataError, UsageError
from mmedagent.storage.dvc_command import dvc


@dataclass(frozen=True)
class Pulled:
    """A version that is there now."""

    folder: Path
    md5: str
    digest: str
    cases: int
    origin: str
    """Where it came from, in words."""
    pinned: bool
    """Whether it is the version that `dvc.lock` pins for that folder."""


def pull_set(root: Path, text: str, out: Path | None = None, force: bool = False) -> Pulled:
    """Bring the data version `text` (`NAME`, `NAME@REVISION`, a digest), verified, into a folder.

    `NAME` alone is what `dvc pull` does. Another revision replaces the working tree's `data/NAME`,
    or fills `out`; a folder whose content is neither pinned nor in DVC's cache is only replaced
    with `force`. Raises `UsageError`, `StorageError`, `BadDataError` when what came is not whole.
    """
    wanted = find(root, text)
    if wanted.name is None and out is None:
        raise UsageError(f"{text} does not say which set it is: add --out FOLDER, or NAME@{text}")
    target = out or root / DATA / str(wanted.name)
    pinned = read_lock(root).get((DATA / str(wanted.name)).as_posix())
    if wanted.revision is None and out is None and pinned is not None:
        origin = _dvc_pull(root, pinned.stage, force)
    else:
        if not force:
            _refuse_loss(root, target, pinned.md5 if pinned else None)
        origin = bring(root, wanted, target)
    return _verified(wanted, target, origin, pinned.md5 if pinned and out is None else None)


def _dvc_pull(root: Path, stage: str, force: bool) -> str:
    dvc(root, ["pull", "--quiet", *(["--force"] if force else []), stage])
    return "DVC's remote"


def _refuse_loss(root: Path, target: Path, pinned: str | None) -> None:
    if not target.exists():
        return
    there = folder_md5(target)
    if there != pinned and not in_cache(root, there):
        raise UsageError(
            f"{target} holds a version that is pinned nowhere ({there[:8]}): replacing it would"
            " lose it. Move it away, or say --force"
        )


def _verified(wanted: Revision, target: Path, origin: str, pinned: str | None) -> Pulled:
    md5 = folder_md5(target)
    manifest = read_manifest(target)
    got = str(manifest["digest"]) if wanted.by_manifest else md5
    if got != wanted.version:
        raise BadDataError(f"{target} is version {got}, and {wanted.version} was asked for")
    return Pulled(
        folder=target,
        md5=md5,
        digest=str(manifest["digest"]),
        cases=sum(int(facts["rows"]) for facts in manifest["files"].values()),
        origin=origin,
        pinned=md5 == pinned,
    )
