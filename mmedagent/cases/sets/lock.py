"""What `dvc.lock` says: which version of each data set a revision of the repository has."""

import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mmedagent.errors import UsageError

LOCK = "dvc.lock"
DATA = Path("data")
"""The folder of all data versions, relative to the repository."""
_BLOCK = 2**20


@dataclass(frozen=True)
class Locked:
    """One output of a DVC stage as `dvc.lock` pins it."""

    stage: str
    md5: str
    """Of the folder's listing, without `.dir`."""
    bytes: int
    files: int


def read_lock(root: Path, revision: str | None = None) -> dict[str, Locked]:
    """Return output path -> its pinned version, as of a Git revision or of the working tree.

    An absent `dvc.lock` pins nothing. Raises `UsageError`: the revision does not exist, or the file
    is none.
    """
    text = _working_text(root) if revision is None else _text_at(root, revision)
    try:
        stages = (yaml.safe_load(text) or {}).get("stages", {})
        return {
            str(out["path"]): Locked(
                stage=str(name),
                md5=str(out["md5"]).removesuffix(".dir"),
                bytes=int(out.get("size", 0)),
                files=int(out.get("nfiles", 1)),
            )
            for name, stage in stages.items()
            for out in stage.get("outs", [])
            if out.get("md5")
        }
    except (yaml.YAMLError, AttributeError, TypeError, KeyError, ValueError) as error:
        place = f"{LOCK} of {revision}" if revision else str(root / LOCK)
        raise UsageError(f"{place} is no lock file of DVC: {error}") from None


def folder_md5(folder: Path) -> str:
    """Return the md5 by which DVC knows the content of `folder`, without `.dir`.

    DVC 3 hashes a JSON list of {"md5", "relpath"} in the order of the names; what it ignores
    (`.dvcignore`) does not occur in data versions.
    """
    entries = [
        {"md5": file_md5(path), "relpath": path.relative_to(folder).as_posix()}
        for path in folder.rglob("*")
        if path.is_file()
    ]
    return listing_md5(entries)


def listing_md5(entries: list[dict[str, Any]]) -> str:
    """Return the md5 of a folder's listing as DVC writes it."""
    ordered = sorted(entries, key=lambda entry: str(entry["relpath"]))
    listing = json.dumps(ordered, sort_keys=True).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest()


def file_md5(path: Path) -> str:
    """Return the md5 of a file's bytes."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def git_text(root: Path, revision: str, path: str) -> str | None:
    """Return the text of a file at a Git revision; None when it had none of that name.

    Raises `UsageError` when there is no such revision.
    """
    known = not revision.startswith("-") and (
        _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").returncode == 0
    )
    if not known:
        raise UsageError(
            f"{revision!r} is no revision of the Git repository in {root}: a commit, branch or tag"
            " (`git fetch` brings those of others), or the md5 or manifest digest of a version"
        )
    shown = _git(root, "show", f"{revision}:./{path}")
    return shown.stdout.decode() if shown.returncode == 0 else None


def _working_text(root: Path) -> str:
    try:
        return (root / LOCK).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _text_at(root: Path, revision: str) -> str:
    return git_text(root, revision, LOCK) or ""


def _git(root: Path, *words: str) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True)
    except OSError as error:
        raise UsageError(f"git cannot be run: {error}") from None
