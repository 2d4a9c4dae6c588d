"""What a release's members may be like: their names, number and sizes, and their bytes."""

import io
import struct
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from zipfile import BadZipFile

from mmedagent.errors import BadDataError
from mmedagent.recipes.sets import LimitsRecipe

_BROKEN = (BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError)
"""What the standard library raises on a broken archive: not only what it says it raises."""
_LONGEST_NAME = 4096
SMALL = 2**20
"""Bytes below which no ratio is judged: a small text may repeat itself at will."""


class Tally:
    """Counts members against the limits as they are met, and refuses names that are not safe.

    `release` names the release in messages, and `listing` is the command that shows which member
    has a number.
    """

    def __init__(self, release: str, limits: LimitsRecipe, listing: str) -> None:
        self.release = release
        self.limits = limits
        self.listing = listing
        self.members = 0
        self.total = 0

    def refuse(self, what: str, mend: str) -> BadDataError:
        """Return the error about the member that was met last."""
        return BadDataError(
            f"{self.release}: member {self.members} ({self.listing}) {what}; {mend}"
        )

    def met(self) -> None:
        """Count one member, whatever it is."""
        self.members += 1
        if self.members > self.limits.max_members:
            raise BadDataError(
                f"{self.release}: more than {self.limits.max_members} members; divide it, or raise"
                " `limits.max_members` of the data set"
            )

    def name(self, name: str) -> str:
        """Return the name in its plain form: relative, one slash between parts, no `.`."""
        if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
            raise self.refuse("has control characters or broken UTF-8 in its name", "rename it")
        if len(name) > _LONGEST_NAME:
            raise self.refuse(f"has a name of {len(name)} characters", "rename it")
        parts = PurePosixPath(name).parts
        drive = len(name) > 1 and name[1] == ":" and name[0].isalpha()
        if name.startswith("/") or drive or ".." in parts or not parts:
            raise self.refuse(
                "has a name that leaves the release (absolute, or with `..`)",
                "pack the folder again from inside it; nothing of this archive was read",
            )
        return "/".join(parts)

    def size(self, size: int) -> None:
        """Count a file's bytes, as its table or the file system gives them."""
        if size > self.limits.max_member_bytes:
            raise self.refuse(
                f"has {size} bytes, the limit is {self.limits.max_member_bytes}",
                "leave it out, or raise `limits.max_member_bytes` of the data set",
            )
        self.total += size
        if self.total > self.limits.max_total_bytes:
            raise BadDataError(
                f"{self.release}: more than {self.limits.max_total_bytes} bytes in all; divide it,"
                " or raise `limits.max_total_bytes` of the data set"
            )

    def ratio(self, size: int, packed: int) -> None:
        """Refuse what unpacks to far more than images and tables do."""
        if size > SMALL and size > self.limits.max_ratio * max(packed, 1):
            raise self.refuse(
                f"unpacks {packed} bytes to {size}, more than {self.limits.max_ratio:g} times",
                "this is how archive bombs are made: do not open it; where it is known to be good,"
                " unpack it yourself and give the folder",
            )


class Counted(io.RawIOBase):
    """A member's unpacked bytes as they come, held against the size that its table gives."""

    def __init__(self, source: Callable[[int], bytes], size: int, place: str) -> None:
        super().__init__()
        self._source = source
        self._left = size
        self._place = place

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        """Fill `buffer` and return how many bytes came; 0 at the end."""
        with whole(self._place):
            data = self._source(len(buffer))
        self._left -= len(data)
        if self._left < 0 or (not data and self._left):
            raise BadDataError(
                f"{self._place}: holds {'more' if self._left < 0 else 'fewer'} bytes than the"
                " archive's table says; fetch the archive again"
            )
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def whole(place: str) -> Iterator[None]:
    """Turn what a broken archive raises into one message that names `place`."""
    try:
        yield
    except _BROKEN as error:
        kind = type(error).__name__
        raise BadDataError(f"{place}: cannot be unpacked ({kind}); fetch the archive again") from (
            error
        )
