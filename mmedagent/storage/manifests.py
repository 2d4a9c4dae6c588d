"""Finds a data version in DVC's remote by the digest of its own manifest.

DVC names a folder by an md5; a data version's manifest has a sha256 over its cases. A pod that was
told the second finds the first by looking at the folders' listings: a few objects a version.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmedagent.errors import StorageError
from mmedagent.recipes.storage import BUCKET_VARIABLE, StorageConfig
from mmedagent.storage.store import ObjectStore

_MANIFEST = "manifest.json"
_LARGEST_LISTING = 64 * 2**20
"""Bytes; a longer listing is of millions of files, and no data version's."""


def find_dvc_folder(store: ObjectStore, manifest_digest: str) -> str:
    """Return the md5 of the DVC folder whose `manifest.json` has the digest `manifest_digest`.

    Raises `StorageError` when nothing that was pushed has it.
    """
    looked_at = 0
    for md5, entries in _folders(store):
        looked_at += 1
        manifest = next((e["md5"] for e in entries if e.get("relpath") == _MANIFEST), None)
        found = None if manifest is None else _manifest(store, str(manifest))
        if found is not None and found.get("digest") == manifest_digest:
            return md5
    raise StorageError(
        f"no data version with the manifest digest {manifest_digest} is in {store.config.bucket}"
        f" ({looked_at} folders were looked at): `dvc push` puts it there"
    )


def read_dvc_manifest(store: ObjectStore, dvc_dir_md5: str) -> dict[str, Any]:
    """Return the `manifest.json` of a folder that `dvc push` put in the store, and nothing else.

    Raises `StorageError` when the store has no such folder, or it is no data version.
    """
    root = f"{store.config.dvc_prefix}/files/md5"
    key = f"{root}/{dvc_dir_md5[:2]}/{dvc_dir_md5[2:]}.dir"
    entries = json.loads(store.get_bytes(key, md5=dvc_dir_md5))
    md5 = next((str(e["md5"]) for e in entries if e.get("relpath") == _MANIFEST), None)
    manifest = None if md5 is None else _manifest(store, md5)
    if manifest is None:
        raise StorageError(f"version {dvc_dir_md5} is no data version: it has no {_MANIFEST}")
    return manifest


def reach_store(home: Path) -> ObjectStore:
    """Return the object store that the environment names, else the local one of `home`, started.

    Raises `UsageError` when there is neither.
    """
    from mmedagent.storage.local import ensure_local_store

    if not os.environ.get(BUCKET_VARIABLE) and (home / "runs" / "storage").is_dir():
        return ObjectStore(ensure_local_store(home))
    return ObjectStore(StorageConfig.from_environment())


def _folders(store: ObjectStore) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    root = f"{store.config.dvc_prefix}/files/md5/"
    for key, size in store.list(root):
        if not key.endswith(".dir") or size > _LARGEST_LISTING:
            continue
        md5 = key.removeprefix(root).removesuffix(".dir").replace("/", "")
        entries = json.loads(store.get_bytes(key, md5=md5))
        yield md5, [entry for entry in entries if isinstance(entry, dict)]


def _manifest(store: ObjectStore, md5: str) -> dict[str, Any] | None:
    root = f"{store.config.dvc_prefix}/files/md5"
    try:
        manifest = json.loads(store.get_bytes(f"{root}/{md5[:2]}/{md5[2:]}", md5=md5))
    except ValueError:
        return None  # some other project's file of that name
    return manifest if isinstance(manifest, dict) else None
