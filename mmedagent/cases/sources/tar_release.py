"""A release in a .tar, or in a .tar.gz that is unpacked to a .tar once.

A tar archive has no directory: it is walked once, from header to header, and then read by offset.
In a packed one every offset is behind everything before it, so its tar is written to the scratch
folder first, as one file: constant memory, and no member is ever written under its own name.
"""

import gzip
import io
import os
import shutil
import tarfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from mmedagent.cases.sources.members import SMALL, Tally, whole
from mmedagent.cases.sources.release import Release, attach, scratch_folder
from mmedagent.errors import BadDataError, UsageError
from mmedagent.recipes.sets import LimitsRecipe

_LARGEST_HEADER = 2**20
"""Bytes of one extended header, which is read into memory as a whole."""


class TarRelease(Release):
    """The files of a tar archive at `tar`; `path` is the release that it came from."""

    def __init__(self, path: Path, limits: LimitsRecipe, tar: Path, folder: Any = None) -> None:
        super().__init__(path, limits)
        self._tar = tar
        self._folder = folder
        self._members = _index(path, tar, limits)
        self._descriptor = os.open(tar, os.O_RDONLY)

    def __reduce__(self) -> tuple[Any, ...]:
        return attach, (TarRelease, self.path, self.limits, self._tar)

    @cached_property
    def _sorted(self) -> Sequence[str]:
        return sorted(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def _stream(self, name: str, place: str) -> BinaryIO:
        start, size = self._members[name]
        return io.BufferedReader(Slice(self._descriptor, start, size), 1 << 16)

    def close(self) -> None:
        """Close the archive and remove what was unpacked of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


class Slice(io.RawIOBase):
    """`size` bytes of an open file from `start`; its position is its own, also after a fork."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        super().__init__()
        self._descriptor, self._start, self._size, self._at = descriptor, start, size, 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be sought."""
        return True

    def tell(self) -> int:
        """Return the position in the slice, in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position in the slice and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        """Fill `buffer` and return how many bytes came; 0 at the end."""
        wanted = min(len(buffer), max(0, self._size - self._at))
        data = os.pread(self._descriptor, wanted, self._start + self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class _Bounded(io.FileIO):
    """The archive as `tarfile` walks it: headers only, none so large that memory would not do."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0 or size > _LARGEST_HEADER:
            raise BadDataError(
                f"{self.name}: a header of more than {_LARGEST_HEADER} bytes, which is how archive"
                " bombs are made; do not open it, and fetch it again from its publisher"
            )
        return super().read(size) or b""


def open_tar(path: Path, limits: LimitsRecipe, scratch: Path | None, packed: bool) -> TarRelease:
    """Open a .tar, or with `packed` a .tar.gz; see `release.open_release`."""
    if not packed:
        return TarRelease(path, limits, path)
    folder = scratch_folder(scratch)
    try:
        tar = Path(folder.name) / "release.tar"
        _unpack(path, tar, limits)
        return TarRelease(path, limits, tar, folder)
    except BaseException:
        folder.cleanup()
        raise


def _unpack(path: Path, tar: Path, limits: LimitsRecipe) -> None:
    most = min(limits.max_total_bytes, max(SMALL, int(path.stat().st_size * limits.max_ratio)))
    done = 0
    with gzip.open(path) as packed, tar.open("wb") as unpacked:
        while True:
            with whole(str(path)):
                block = packed.read(SMALL)
            if not block:
                return
            done += len(block)
            if done > most:
                raise BadDataError(
                    f"{path}: unpacks to more than {most} bytes (`limits.max_total_bytes` and"
                    " `limits.max_ratio` of the data set), which is how archive bombs are made;"
                    " where it is known to be good, unpack it yourself and give the folder"
                )
            if shutil.disk_usage(tar.parent).free < 2 * SMALL:
                raise UsageError(
                    f"{tar.parent}: the disk is full while unpacking {path.name}; make room, or"
                    " unpack it elsewhere and give the folder"
                )
            unpacked.write(block)


def _index(path: Path, tar: Path, limits: LimitsRecipe) -> dict[str, tuple[int, int]]:
    """Walk the archive; return name -> offset and size of each file."""
    tally = Tally(str(path), limits, f"`tar -tf {path.name}` lists them")
    members: dict[str, tuple[int, int]] = {}
    end = tar.stat().st_size
    cut = BadDataError(f"{path}: the tar archive is broken or cut short; fetch it again")
    with _Bounded(tar) as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as archive:
                while (member := archive.next()) is not None:
                    vars(archive)["members"].clear()  # it keeps them all otherwise
                    _meet(member, tally, members)
                    if member.offset_data + member.size > end:
                        raise cut
                walked = archive.offset
        except (tarfile.TarError, ValueError, OverflowError) as error:
            raise cut from error
        file.seek(walked)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise cut  # `tarfile` takes any block that is no header for the end
    return members


def _meet(member: tarfile.TarInfo, tally: Tally, members: dict[str, tuple[int, int]]) -> None:
    tally.met()
    if member.isdir() and member.name in (".", "./", ""):
        return
    name = tally.name(member.name.replace("\\", "/"))
    if member.isdir():
        return
    if not member.isreg() or member.issparse():
        raise tally.refuse(
            "is a link, a device or a sparse file", "pack the files themselves: `tar -ch`"
        )
    tally.size(member.size)
    if name in members:
        raise tally.refuse("has the name of another member", "pack the files again")
    members[name] = (member.offset_data, member.size)
