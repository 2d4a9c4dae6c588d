"""A checkpoint on disk: a folder with a manifest, published whole, verified before it is read.

`checkpoint-<step>/manifest.json` says which step of which training this is (the fingerprint) and
what its files are (sha256 and size). A kill at any moment leaves whole checkpoints or none, so one
that does not match its manifest was damaged, and training does not quietly start over instead.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmedagent.atomic import new_folder, write_json
from mmedagent.digests import canonical_json, digest_file, digest_value
from mmedagent.errors import BrokenEvidenceError

MANIFEST = "manifest.json"
SCHEMA = 1
_PREFIX = "checkpoint-"
_MOST_NAMED = 5


def last_checkpoint(work: Path) -> Path | None:
    """Return the newest checkpoint in `work`, or None.

    A folder gets its final name only when everything in it is on disk, so a name is enough.
    """
    found = _numbered(work)
    return found[max(found)] if found else None


@contextmanager
def new_checkpoint(
    work: Path, step: int, fingerprint: Mapping[str, Any], **facts: Any
) -> Iterator[Path]:
    """Yield a folder to write into that becomes `work/checkpoint-<step>` when the block ends.

    The manifest is added, everything is flushed to the disk and renamed, and only then older
    checkpoints go. An error in the block leaves what was there.

    Args:
        work: the folder of one training's checkpoints.
        step: optimiser steps done.
        fingerprint: what the training is, JSON-able; `read_checkpoint` compares it.
        facts: further entries of the manifest.
    """
    with new_folder(work / f"{_PREFIX}{step}") as aside:
        yield aside
        files = {
            path.relative_to(aside).as_posix(): _described(path)
            for path in sorted(aside.rglob("*"))
            if path.is_file()
        }
        manifest = {
            "schema": SCHEMA,
            "step": step,
            "fingerprint": dict(fingerprint),
            "files": files,
            **facts,
        }
        write_json(aside / MANIFEST, {**manifest, "digest": digest_value(manifest)})
    for older, folder in _numbered(work).items():
        if older != step:
            # By another name first: a half-deleted folder must not look like a checkpoint.
            folder = folder.rename(work / f".{folder.name}.old")
            shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(work: Path) -> None:
    """Remove what a kill in the middle of a save left in `work`; checkpoints stay."""
    for pattern in (f".{_PREFIX}*.aside", f".{_PREFIX}*.old"):
        for rest in work.glob(pattern):
            shutil.rmtree(rest, ignore_errors=True)


def read_checkpoint(folder: Path, fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """Verify every file of a checkpoint, and that it is this training's; return its manifest.

    Raises:
        BrokenEvidenceError: a file is missing, truncated or changed, or the checkpoint belongs to
            another model, recipe or data; the message names file, both values and what mends it.
    """
    manifest = _manifest(folder)
    here = json.loads(canonical_json(dict(fingerprint)))  # as the manifest has been through JSON
    different = differences(manifest["fingerprint"], here)
    if different:
        more = len(different) - _MOST_NAMED
        raise BrokenEvidenceError(
            f"{folder / MANIFEST}: this checkpoint is of another training: "
            + "; ".join(different[:_MOST_NAMED])
            + (f"; and {more} more" if more > 0 else "")
            + f". Go back to what it was written with, or delete {folder} to train from the start"
        )
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise _damaged(path, "it is missing", folder)
        found = _described(path)
        if found != expected:
            said = f"{_size(found)}, where {MANIFEST} has {_size(expected)}"
            raise _damaged(path, f"it has {said}", folder)
    return manifest


def differences(there: Any, here: Any, path: str = "") -> list[str]:
    """Return what differs between a checkpoint's fingerprint and this training's, leaf by leaf."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        names = [*there, *(name for name in here if name not in there)]
        return [
            line
            for name in names
            for line in differences(
                there.get(name), here.get(name), f"{path}.{name}" if path else str(name)
            )
        ]
    return [] if there == here else [f"{path} is {there!r} there and {here!r} here"]


def _numbered(work: Path) -> dict[int, Path]:
    numbers = {path: path.name.removeprefix(_PREFIX) for path in work.glob(f"{_PREFIX}*")}
    return {int(number): path for path, number in numbers.items() if number.isdigit()}


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes())
        digest = manifest.pop("digest")
        if manifest["schema"] != SCHEMA:
            raise _damaged(path, f"its schema is {manifest['schema']}, not {SCHEMA}", folder)
    except FileNotFoundError:
        raise _damaged(path, "it is missing", folder) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, f"it is no manifest ({error!r})", folder) from None
    if digest != digest_value(manifest):
        raise _damaged(path, "it was changed after it was written", folder)
    return manifest


def _damaged(path: Path, what: str, folder: Path) -> BrokenEvidenceError:
    return BrokenEvidenceError(
        f"{path}: {what}. A checkpoint is written whole or not at all, so the disk or somebody"
        f" damaged it. Delete {folder} to train from the start"
    )


def _described(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": digest_file(path)}


def _size(entry: Mapping[str, Any]) -> str:
    return f"{entry['bytes']} bytes (sha256 {entry['sha256'][:12]})"
