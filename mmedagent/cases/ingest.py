"""Fetches a data version from the DVC remote: the DAG's first step, where no checkout is."""

import tempfile
from pathlib import Path
from typing import Any

from mmedagent import atomic
from mmedagent.cases.store import read_manifest
from mmedagent.errors import BadDataError
from mmedagent.storage.manifests import find_dvc_folder
from mmedagent.storage.store import ObjectStore
from mmedagent.storage.versions import fetch_folder

_SHA256_DIGITS = 64


def ingest(storage: ObjectStore, data_version: str, out: Path) -> dict[str, Any]:
    """Bring the data version `data_version` to the folder `out`, whole or not at all.

    `data_version` is the md5 of the DVC output's folder in `dvc.lock`, with or without `.dir`, or
    the digest of the version's own manifest (64 hex digits), which finds that folder by itself.
    Every file is verified twice: by DVC's md5 as it arrives, and by the sha256 that the version's
    own manifest has. Returns the facts of the version: its name, digest, files and rows a pool.
    Raises `StorageError` when the remote lacks or corrupts it, `BadDataError` when what was pushed
    is no data version; an `out` that was there then stands as it was.
    """
    by_manifest = len(data_version) == _SHA256_DIGITS
    md5 = find_dvc_folder(storage, data_version) if by_manifest else data_version
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as aside:
        fetched = fetch_folder(storage, md5, Path(aside) / "version")
        try:
            manifest = read_manifest(fetched)
        except BadDataError as error:
            raise BadDataError(f"data version {data_version}: {error}") from error
        with atomic.new_folder(out) as whole:
            for path in fetched.iterdir():
                path.rename(whole / path.name)
    rows: dict[str, int] = {}
    for relative, facts in manifest["files"].items():
        pool = relative.split("/")[0]
        rows[pool] = rows.get(pool, 0) + int(facts["rows"])
    return {
        "data_version": md5.removesuffix(".dir"),
        "name": manifest["name"],
        "digest": manifest["digest"],
        "rows": rows,
    }
