"""Content digests: one canonical form for values, one for files, one for folders."""

import hashlib
import json
from pathlib import Path
from typing import Any


def canonical_json(value: Any) -> bytes:
    """Serialise `value` so that equal values give equal bytes (sorted keys, no spaces, UTF-8)."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest_bytes(data: bytes) -> str:
    """Return the sha256 of `data` as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest_value(value: Any) -> str:
    """Return the sha256 of a JSON-able value's canonical form."""
    return digest_bytes(canonical_json(value))


def digest_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, read in 1 MiB blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_folder(folder: Path) -> str:
    """Return one sha256 for a folder: over the sorted relative names and their files' digests.

    Times and permissions do not count, so that a copy has the digest of its original.
    """
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return digest_value({p.relative_to(folder).as_posix(): digest_file(p) for p in files})
