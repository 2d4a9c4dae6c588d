"""Immutable folder versions in the object store: our own, and those that DVC pushed.

An own version is `<prefix>/<digest>/files/<relative path>` and, written last and only once,
`<prefix>/<digest>/manifest.json`. What has no manifest does not exist: an upload that was killed
leaves files that nobody takes for a version, and the next upload of the same folder completes them.
"""

import hashlib
import json
import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from mmedagent import atomic
from mmedagent.digests import canonical_json, digest_file, digest_folder, digest_value
from mmedagent.errors import StorageError
from mmedagent.storage.failures import explained
from mmedagent.storage.store import ObjectStore

_MD5 = re.compile(r"^[0-9a-f]{32}$")
_SHA256 = re.compile(r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """What a folder version consists of; its digest is `digest_folder` of the folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    digest: str
    files: dict[str, str]
    """Relative POSIX path -> sha256."""


def put_folder_version(
    store: ObjectStore, folder: Path, skip: Collection[str] = frozenset()
) -> str:
    """Upload a folder as an immutable version and return its digest (`digest_folder`).

    `skip` names files (relative) that are no part of the version. Files go first, the manifest last
    with `If-None-Match`, so that a version is there whole or not at all. Uploading what is there
    already sends nothing; a killed upload goes on where it was. Raises `StorageError`; a folder
    that is empty or holds links is refused.
    """
    files = folder_files(folder, skip)
    digest = digest_value(files)
    prefix = f"{store.config.versions_prefix}/{digest}"
    if store.exists(f"{prefix}/manifest.json"):
        return digest
    for name, sha256 in files.items():
        key = f"{prefix}/files/{name}"
        there = store.head(key)
        if there is not None and there.sha256 == sha256:
            continue
        if store.put_file(folder / name, key) != sha256:
            raise StorageError(f"{folder / name} changed while it was uploaded: nothing published")
    manifest = Manifest(digest=digest, files=files)
    store.put_if_absent(f"{prefix}/manifest.json", canonical_json(manifest.model_dump()))
    return digest


def fetch_folder_version(store: ObjectStore, digest: str, into: Path) -> Path:
    """Download the version `digest` to the folder `into`, verified file by file; return `into`.

    A folder that is already there is kept when it is whole (its digest is computed) and replaced
    when it is not. Raises `StorageError` when there is no such version, or it is corrupt.
    """
    if not _SHA256.match(digest):
        raise StorageError(f"{digest!r} is no version digest (64 hex digits)")
    if into.is_dir() and digest_folder(into) == digest:
        return into
    prefix = f"{store.config.versions_prefix}/{digest}"
    if not store.exists(f"{prefix}/manifest.json"):
        raise StorageError(
            f"no folder version {digest} in {store.config.bucket}: it has no manifest, so it was "
            "never uploaded whole"
        )
    manifest = _manifest(store.get_bytes(f"{prefix}/manifest.json"), digest)
    with explained(store.config, prefix), atomic.new_folder(into) as aside:
        for name, sha256 in manifest.files.items():
            store.get_file(f"{prefix}/files/{name}", aside / _inside(name), sha256=sha256)
    return into


def fetch_folder(store: ObjectStore, dvc_dir_md5: str, into: Path) -> Path:
    """Download a folder that `dvc push` put in the store, verified file by file; return `into`.

    `dvc_dir_md5` is the `md5` of the output in `dvc.lock`, with or without its `.dir`. Layout of a
    DVC 3 remote: `<prefix>/files/md5/ab/cdef...`, a folder being the object `<md5>.dir`, a JSON
    list of {"md5", "relpath"}. Beside `into` the list is kept, so that a later call asks the store
    nothing when every file still has its md5. Raises `StorageError`.
    """
    version = dvc_dir_md5.removesuffix(".dir")
    if not _MD5.match(version):
        raise StorageError(
            f"{dvc_dir_md5!r} is no DVC folder version: "
            "take the md5 that ends in .dir from dvc.lock"
        )
    listing = into.with_name(f".{into.name}.{version}.dir")
    if listing.is_file() and into.is_dir():
        data = listing.read_bytes()
        if _md5(data) == version and _local_md5s(into) == _dvc_entries(data, version):
            return into
    root = f"{store.config.dvc_prefix}/files/md5"
    data = store.get_bytes(f"{root}/{version[:2]}/{version[2:]}.dir", md5=version)
    entries = _dvc_entries(data, version)
    with explained(store.config, root), atomic.new_folder(into) as aside:
        for name, md5 in entries.items():
            store.get_file(f"{root}/{md5[:2]}/{md5[2:]}", aside / _inside(name), md5=md5)
    atomic.write_bytes(listing, data)
    return into


def folder_files(folder: Path, skip: Collection[str] = frozenset()) -> dict[str, str]:
    """Return relative name -> sha256 of what a version of `folder` consists of.

    Raises `StorageError` for a missing or empty folder, or one with links.
    """
    if not folder.is_dir():
        raise StorageError(f"{folder} is no folder: nothing to upload")
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise StorageError(f"{path} is a link: a version holds files only")
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in skip:
            files[name] = digest_file(path)
    if not files:
        raise StorageError(f"{folder} has no files: an empty version is refused")
    return files


def _manifest(data: bytes, digest: str) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise StorageError(f"the manifest of version {digest} is not one: {error}") from error
    if manifest.digest != digest or digest_value(manifest.files) != digest:
        raise StorageError(f"the manifest of version {digest} names other files: refused")
    return manifest


def _dvc_entries(data: bytes, version: str) -> dict[str, str]:
    try:
        listed: list[dict[str, Any]] = json.loads(data)
        entries = {str(entry["relpath"]): str(entry["md5"]) for entry in listed}
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"DVC's list of folder version {version} is not one: {error}") from error
    if not entries or not all(_MD5.match(md5) for md5 in entries.values()):
        raise StorageError(f"DVC's list of folder version {version} is empty or has no md5s")
    return entries


def _local_md5s(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                found[path.relative_to(folder).as_posix()] = hashlib.file_digest(
                    file, "md5"
                ).hexdigest()
    return found


def _md5(data: bytes) -> str:
    import hashlib

    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _inside(name: str) -> str:
    """Refuse names that leave the folder: a manifest is input."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in name:
        raise StorageError(f"a version names the file {name!r}, outside its folder: refused")
    return name
