"""A release in a .zip archive, read in place."""

import io
import os
import shutil
import stat
import struct
import zipfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from mmedagent.cases.sources.members import Counted, Tally, whole
from mmedagent.cases.sources.release import Release, attach, scratch_folder
from mmedagent.errors import BadDataError
from mmedagent.recipes.sets import LimitsRecipe

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
_ENTRY_BYTES = 46
"""Of an entry in the archive's directory, before its name."""


class ZipRelease(Release):
    """The files of a .zip archive."""

    def __init__(self, path: Path, limits: LimitsRecipe, scratch: Path | None = None) -> None:
        super().__init__(path, limits)
        _count_entries(path, limits)
        self._scratch = scratch
        self._spooled: dict[str, Path] = {}
        self._folder: Any = None
        self._open_archive()
        self._members = _index(path, self._archive.infolist(), limits)

    def __reduce__(self) -> tuple[Any, ...]:
        return attach, (ZipRelease, self.path, self.limits, self._scratch)

    @cached_property
    def _sorted(self) -> Sequence[str]:
        return sorted(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def _stream(self, name: str, place: str) -> BinaryIO:
        if name.endswith(".parquet"):
            return self._spool(name, place).open("rb")
        return self._unpacked(name, place)

    def close(self) -> None:
        """Close the archive and remove what was unpacked of it."""
        self._archive.close()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
            self._spooled.clear()

    def _open_archive(self) -> None:
        with whole(str(self.path)):
            self._archive = zipfile.ZipFile(self.path)
        self._process = os.getpid()

    def _unpacked(self, name: str, place: str) -> BinaryIO:
        if self._process != os.getpid():  # a forked child would share the parent's file position
            self._open_archive()
        member = self._members[name]
        with whole(place):
            file = self._archive.open(member)
        return io.BufferedReader(Counted(file.read, member.file_size, place), 1 << 16)

    def _spool(self, name: str, place: str) -> Path:
        """Unpack a table that is read from its end: seeking in a packed stream starts it anew."""
        if name not in self._spooled:
            if self._folder is None:
                self._folder = scratch_folder(self._scratch)
            target = Path(self._folder.name) / f"{len(self._spooled)}.parquet"
            with self._unpacked(name, place) as packed, target.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked, 1 << 20)
            self._spooled[name] = target
        return self._spooled[name]


def _index(
    path: Path, entries: Sequence[zipfile.ZipInfo], limits: LimitsRecipe
) -> dict[str, zipfile.ZipInfo]:
    tally = Tally(str(path), limits, f"`unzip -Z1 {path.name}` lists them")
    members: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        tally.met()
        if "\0" in entry.orig_filename:
            raise tally.refuse("has a zero byte in its name", "pack the files again")
        name = tally.name(entry.filename.replace("\\", "/"))
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise tally.refuse("is a link or a device", "pack the files themselves, without links")
        if entry.is_dir():
            continue
        if entry.flag_bits & _ENCRYPTED:
            raise tally.refuse("is encrypted", "decrypt the archive, and give the decrypted one")
        if entry.compress_type not in _METHODS:
            raise tally.refuse(
                f"is packed by method {entry.compress_type}",
                "unpack it and give the folder, or pack it by `zip` (deflate)",
            )
        tally.ratio(entry.file_size, entry.compress_size)
        tally.size(entry.file_size)
        if name in members:
            raise tally.refuse("has the name of another member", "pack the files again")
        members[name] = entry
    _refuse_overlap(path, list(members.values()))
    return members


def _refuse_overlap(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Refuse members that share packed bytes, by which a small archive unpacks to any size."""
    end = 0
    for member in sorted(members, key=lambda m: m.header_offset):
        if member.header_offset < end:
            raise BadDataError(
                f"{path}: members overlap, which is how archive bombs are made; do not open it, and"
                " fetch it again from its publisher"
            )
        end = member.header_offset + member.compress_size


def _count_entries(path: Path, limits: LimitsRecipe) -> None:
    """Refuse a directory of too many entries before `zipfile` makes an object of each.

    The layout is that of APPNOTE.TXT 6.3.10, 4.3.12 to 4.3.16. What the archive says of its own
    number of entries is not believed: the entries are walked.
    """
    with path.open("rb") as file:
        tail = min(path.stat().st_size, 22 + 65535)
        file.seek(-tail, io.SEEK_END)
        base, end = file.tell(), file.read(tail)
        found = end.rfind(b"PK\5\6")
        if found < 0 or len(end) < found + 22:
            raise BadDataError(f"{path}: the zip archive is cut short; fetch it again")
        (size,) = struct.unpack_from("<L", end, found + 12)
        start = base + found - size
        if end[max(found - 20, 0) : found].startswith(b"PK\6\7"):
            (record,) = struct.unpack_from("<Q", end, found - 12)
            file.seek(record + 40)
            (size,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
            start = record - size
        if size <= limits.max_members * _ENTRY_BYTES:
            return
        file.seek(max(start, 0))
        tally = Tally(str(path), limits, "")
        while len(header := file.read(_ENTRY_BYTES)) == _ENTRY_BYTES and header[:4] == b"PK\1\2":
            tally.met()
            file.seek(sum(struct.unpack_from("<3H", header, 28)), io.SEEK_CUR)
