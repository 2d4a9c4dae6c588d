"""A release's way into the repository: its digest, and a place below `data/releases`.

DVC follows paths inside the repository, so that a stage means the same on every machine. A release
that lies elsewhere is hard-linked (copied, on another file system) into a folder that is named
after its digest: an older release stays where older revisions of the repository look for it.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from mmedagent import atomic
from mmedagent.digests import digest_value
from mmedagent.errors import BadDataError, UsageError

RELEASES = Path("data/releases")
"""The folder of releases that were brought in, relative to the repository; Git ignores it."""
_SPARE = 1 << 30
"""Bytes of disk that a copy leaves free: the version has to be written, too."""
_BLOCK = 4 * 2**20
Done = Callable[[int, int], None]
"""Told the bytes that are done, and all."""


def release_digest(path: Path, done: Done | None = None) -> str:
    """Return the sha256 that pins a release: of the file, or of the folder (`digest_folder`).

    Raises `UsageError` when there is none, `BadDataError` when it holds a link: what a link points
    to is no part of a release.
    """
    meter = _Meter(path, done)
    if path.is_file():
        return _digest(path, meter)
    if not path.is_dir():
        raise UsageError(f"{path} is missing: name the release's file or folder")
    digests = {f.relative_to(path).as_posix(): _digest(f, meter) for f in _files(path)}
    if not digests:
        raise UsageError(f"{path} is an empty folder: name the release's file or folder")
    return digest_value(digests)


def place_release(
    root: Path, path: Path, sha256: str, keep_name: bool, done: Done | None = None
) -> str:
    """Have the release `path` inside the repository `root`; return its relative path.

    One that lies there already stays where it is. `keep_name` keeps the file's own name, which some
    layouts speak by (`train-00000-of-00001.parquet`); without it the name is neutral: a hospital's
    file name may identify a patient, and the path is committed. Raises `UsageError`: Git would take
    the release into its history, or the disk has no room for a copy.
    """
    path, root = path.resolve(), root.resolve()
    if path.is_relative_to(root):
        relative = path.relative_to(root).as_posix()
        if path == root or path.is_relative_to(root / ".git"):
            raise UsageError(f"{path} is no release: it is the repository itself")
        _refuse_unless_ignored(root, relative)
        return relative
    folder = root / RELEASES / sha256[:12]
    if path.is_file():
        target = folder / (path.name if keep_name else "release" + "".join(path.suffixes[-2:]))
    else:
        target = folder / "release"
    if not target.exists() or release_digest(target) != sha256:
        _check_room(path, folder.parent)
        with atomic.new_folder(folder) as aside:
            _bring(path, aside / target.name, _Meter(path, done))
    return target.relative_to(root).as_posix()


class _Meter:
    """Adds up the bytes of a release that are done."""

    def __init__(self, path: Path, done: Done | None) -> None:
        self._done, self._bytes = done, 0
        files = [] if done is None else [path] if path.is_file() else _files(path)
        self._total = sum(file.stat().st_size for file in files)

    def add(self, count: int) -> None:
        self._bytes += count
        if self._done is not None:
            self._done(self._bytes, self._total)


def _digest(path: Path, meter: _Meter) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            meter.add(len(block))
    return digest.hexdigest()


def _bring(source: Path, target: Path, meter: _Meter) -> None:
    if source.is_file():
        _link_or_copy(source, target, meter)
        return
    for file in _files(source):
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        _link_or_copy(file, place, meter)


def _link_or_copy(source: Path, target: Path, meter: _Meter) -> None:
    try:
        os.link(source, target)
        meter.add(source.stat().st_size)
    except OSError:  # another file system, or one without links
        with source.open("rb") as old, target.open("wb") as new:
            while block := old.read(_BLOCK):
                new.write(block)
                meter.add(len(block))


def _files(folder: Path) -> Iterator[Path]:
    """Yield the folder's files in order. Raises `BadDataError` on a link, without its name."""
    for number, path in enumerate(sorted(folder.rglob("*"))):
        if path.is_symlink():
            raise BadDataError(
                f"{folder}: entry {number + 1} (sorted) is a symbolic link: a release holds files"
                " only; replace it by what it points to"
            )
        if path.is_file():
            yield path


def _check_room(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    if source.stat().st_dev == target.stat().st_dev:
        return  # linked
    files = [source] if source.is_file() else _files(source)
    needed = sum(file.stat().st_size for file in files)
    free = shutil.disk_usage(target).free
    if needed + _SPARE > free:
        raise UsageError(
            f"the release has {needed / 2**30:.1f} GiB and {target} {free / 2**30:.1f} GiB free:"
            " make room, or put the release on the repository's file system, where it is linked"
            " and not copied"
        )


def _refuse_unless_ignored(root: Path, relative: str) -> None:
    """See that Git cannot take a release, with patients' images perhaps, into its history."""
    if not (root / ".git").exists():
        return
    words = ["git", "-C", str(root), "check-ignore", "--quiet", "--no-index", relative]
    if subprocess.run(words, capture_output=True).returncode != 0:
        raise UsageError(
            f"Git does not ignore {relative}: a release in its history could never be taken back."
            f" Move it below {RELEASES}, or out of the repository"
        )
