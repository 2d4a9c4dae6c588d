"""`NAME`, `NAME@REVISION`, a digest or a folder: which data version is meant, and where it is."""

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmedagent import atomic
from mmedagent.cases.ingest import ingest
from mmedagent.cases.sets.lock import DATA, LOCK, file_md5, folder_md5, listing_md5, read_lock
from mmedagent.cases.writer import MANIFEST
from mmedagent.errors import BadDataError, UsageError
from mmedagent.home import home_folder
from mmedagent.storage.manifests import reach_store, read_dvc_manifest

_NAME = re.compile(r"^[a-z0-9][a-z0-9-]{0,62}$")
_MD5 = re.compile(r"^[0-9a-f]{32}(\.dir)?$")
_SHA256 = re.compile(r"^[0-9a-f]{64}$")
_FETCHED = Path(".cache/versions")
"""Versions that are not in the working tree, by md5, relative to the repository."""


@dataclass(frozen=True)
class Revision:
    """A data version as a user names it."""

    name: str | None
    """The set; None for a bare digest."""
    revision: str | None
    """A Git revision, or a digest; None is the working tree's."""
    version: str
    """DVC's md5 of the folder, or the sha256 of the manifest (64 digits)."""

    @property
    def by_manifest(self) -> bool:
        """Whether `version` is the manifest's digest."""
        return len(self.version) == 64


def parse(text: str) -> tuple[str | None, str | None]:
    """Return (name, revision) of `NAME`, `NAME@REVISION` or a bare digest (no name).

    Raises `UsageError` when it is none of these.
    """
    if _MD5.match(text) or _SHA256.match(text):
        return None, text.removesuffix(".dir")
    name, at, revision = text.partition("@")
    if not _NAME.match(name) or (at and not revision):
        raise UsageError(
            f"{text!r} names no data version: write NAME, NAME@REVISION (a commit, branch, tag,"
            " md5 or manifest digest) or a digest"
        )
    return name, revision or None


def find(root: Path, text: str) -> Revision:
    """Return which version `text` means in the repository `root`.

    Raises `UsageError`: no such set or revision, or no version of the set is pinned there.
    """
    name, revision = parse(text)
    digest = (revision or "").removesuffix(".dir")
    if _MD5.match(digest) or _SHA256.match(digest):
        return Revision(name, revision, digest)
    pinned = read_lock(root, revision)
    place = f"{LOCK} of {revision}" if revision else LOCK
    found = pinned.get((DATA / str(name)).as_posix())
    if found is None:
        sets = sorted(Path(path).name for path in pinned if Path(path).parent == DATA)
        raise UsageError(
            f"{place} pins no version of the data set {name!r}; it has {', '.join(sets) or 'none'}."
            f" `mmedagent data list` shows the sets; `dvc repro {name}` makes a declared one"
        )
    return Revision(name, revision, found.md5)


def open_version(root: Path, text: str) -> Path:
    """Return a folder that holds the data version `text`, which may also name a folder.

    A set without a revision is the working tree's folder, as it stands. Other versions come from
    DVC's cache, else from the object store, into `.cache/versions`. Raises `UsageError` and
    `StorageError` when there is no such version.
    """
    if "@" not in text and (root / DATA / text / MANIFEST).is_file() and _NAME.match(text):
        return root / DATA / text
    if (Path(text) / MANIFEST).is_file():
        return Path(text)
    if os.sep in text or text in (".", ".."):
        raise UsageError(f"{text} is no data version: it has no {MANIFEST}")
    return fetched(root, find(root, text))


def fetched(root: Path, wanted: Revision) -> Path:
    """Return the folder `.cache/versions/<version>` of a version, filled the first time."""
    folder = root / _FETCHED / wanted.version
    if not (folder / MANIFEST).is_file():
        bring(root, wanted, folder)
    return folder


def bring(root: Path, wanted: Revision, out: Path) -> str:
    """Put a version into the folder `out`, whole or not at all; return where it came from.

    That is `DVC's cache`, or `the object store`. Everything is verified by its digest.
    """
    if not wanted.by_manifest and _from_cache(root, wanted.version, out):
        return "DVC's cache"
    ingest(reach_store(home_folder()), wanted.version, out)
    return "the object store"


def manifest_of(root: Path, name: str, md5: str) -> dict[str, Any]:
    """Return the manifest of a pinned version without bringing its cases.

    It comes from the working tree, DVC's cache or the object store. Raises `StorageError` when none
    of them has the version.
    """
    entries = _listing(root, md5)
    wanted = next((e["md5"] for e in entries or [] if e["relpath"] == MANIFEST), None)
    for path in (root / DATA / name / MANIFEST, _object(root, str(wanted))):
        if wanted is not None and path.is_file() and file_md5(path) == wanted:
            return dict(json.loads(path.read_bytes()))
    if (root / DATA / name).is_dir() and folder_md5(root / DATA / name) == md5:
        return dict(json.loads((root / DATA / name / MANIFEST).read_bytes()))
    return read_dvc_manifest(reach_store(home_folder()), md5)


def in_cache(root: Path, md5: str) -> bool:
    """Tell whether DVC's cache holds the version, so that replacing its folder loses nothing."""
    entries = _listing(root, md5)
    return entries is not None and all(_object(root, e["md5"]).is_file() for e in entries)


def _from_cache(root: Path, md5: str, out: Path) -> bool:
    """Fill `out` from DVC's cache; tell whether it holds the version, whole."""
    entries = _listing(root, md5)
    if entries is None or not all(_object(root, e["md5"]).is_file() for e in entries):
        return False
    with atomic.new_folder(out) as aside:
        for entry in entries:
            target = aside / entry["relpath"]
            if not target.resolve().is_relative_to(aside.resolve()):
                raise BadDataError(f"DVC's listing of {md5} names a file outside its folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(_object(root, entry["md5"]), target)
            if file_md5(target) != entry["md5"]:
                raise BadDataError(
                    f"DVC's cache holds a damaged file of version {md5}: remove"
                    f" {_object(root, entry['md5'])} and `dvc fetch`"
                )
    return True


def _listing(root: Path, md5: str) -> list[dict[str, Any]] | None:
    """Return the version's files as DVC's cache lists them; None where it does not, or wrongly."""
    path = _object(root, md5).with_suffix(".dir")
    try:
        entries: list[dict[str, Any]] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return entries if listing_md5(entries) == md5 else None


def _object(root: Path, md5: str) -> Path:
    """Return where DVC 3 caches a file; a cache elsewhere (`cache.dir`) is not looked into."""
    return root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
