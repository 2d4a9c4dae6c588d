"""A release as its users have it: a folder, a .zip, a .tar, .tar.gz or .tgz, or a single file.

All kinds are read through one class, `Release`, member by member, and nothing is ever unpacked to
the place that a member's name asks for. What an attacker or a broken download can do with names,
links and sizes is refused when the release is opened or, where only the bytes tell, while they are
read. Messages of a refused archive give a member's number, not its name: a hospital's file name may
identify a patient.
"""

import os
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import BinaryIO, Self

from mmedagent.errors import BadDataError, UsageError
from mmedagent.recipes.sets import LimitsRecipe

_OF_MACOS = re.compile(r"^__MACOSX/|(^|/)(\._[^/]*|\.DS_Store)$")
_BLOCK = 1 << 20
_MAGIC_BYTES = 265
"""As many as tell the kind of a file: a tar archive's magic ends there."""


class Release(ABC):
    """A release's members by name, read one at a time.

    It pickles as its path: a worker process opens it anew, once, whatever number of `SourceImage`s
    it is sent. Files are not shared with a forked child.
    """

    def __init__(self, path: Path, limits: LimitsRecipe) -> None:
        self.path = path
        self.limits = limits

    def names(self) -> Sequence[str]:
        """Return the members' names, sorted: relative POSIX paths without `..`.

        What macOS adds by itself (`__MACOSX/`, `._name`, `.DS_Store`) is not among them.
        """
        return self._listed

    def open(self, name: str, place: str | None = None) -> BinaryIO:
        """Return a member as a buffered stream of bytes, counted against the limits as it is read.

        A member that ends in `.parquet` can be sought in any release; of others that is not said.
        Raises `BadDataError` when there is none or it is not what the archive's table says of it;
        the message names `place`, by default the member.
        """
        place = place or self.place(name)
        if name not in self:
            raise BadDataError(
                f"{place}: not in the release; fetch or unpack it again, or take the row out"
            )
        return self._stream(name, place)

    def read(self, name: str, place: str | None = None) -> bytes:
        """Return the bytes of one image file; `BadDataError` also over `max_image_bytes`."""
        place = place or self.place(name)
        data = bytearray()
        with self.open(name, place) as file:
            while block := file.read(_BLOCK):  # `read(limit)` would ask for the limit in memory
                data += block
                if len(data) > self.limits.max_image_bytes:
                    raise BadDataError(
                        f"{place}: more than {self.limits.max_image_bytes} bytes; leave it out, or"
                        " raise `limits.max_image_bytes` of the data set when it is a real image"
                    )
        return bytes(data)

    def nested(self, name: str) -> "Release":
        """Open an archive that lies in the release; it is closed with it.

        Only a folder's can be opened in place: `UsageError` asks for the others to be unpacked.
        """
        raise UsageError(
            f"{self.place(name)}: an archive in an archive; unpack {self.path.name} and give the"
            " folder"
        )

    def place(self, name: str) -> str:
        """Return where a member lies, for messages. It holds the name: not for a hospital's own."""
        return f"{self.path.name}: {name}"

    @abstractmethod
    def __contains__(self, name: object) -> bool: ...

    @cached_property
    def _listed(self) -> Sequence[str]:
        return [name for name in self._sorted if not _OF_MACOS.search(name)]

    @cached_property
    @abstractmethod
    def _sorted(self) -> Sequence[str]: ...

    @abstractmethod
    def _stream(self, name: str, place: str) -> BinaryIO: ...

    @abstractmethod
    def close(self) -> None:
        """Close what is open; scratch files that the release made itself are removed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_release(path: Path, limits: LimitsRecipe, scratch: Path | None = None) -> Release:
    """Open a release for reading.

    `scratch` is a folder with room for what has to be unpacked to be read in any order: the tar
    inside a .tar.gz, a Parquet file inside a .zip. By default a temporary folder, which is removed
    when the release is closed.

    Raises `UsageError` when there is nothing at `path` or it is of no known kind, and
    `BadDataError` on names that are absolute, leave the release, or occur twice, on links and
    devices, on encrypted members, and beyond any of `limits`; each message says the mend.
    """
    if path.is_dir():
        from mmedagent.cases.sources.plain_release import FolderRelease

        return FolderRelease(path, limits)
    if not path.is_file():
        raise UsageError(f"{path}: no such file or folder; give the release as it was fetched")
    kind = _kind(path)
    if kind == "file":
        from mmedagent.cases.sources.plain_release import FileRelease

        return FileRelease(path, limits)
    if kind == "zip":
        from mmedagent.cases.sources.zip_release import ZipRelease

        return ZipRelease(path, limits, scratch)
    from mmedagent.cases.sources.tar_release import open_tar

    return open_tar(path, limits, scratch, packed=kind == "tar.gz")


def _kind(path: Path) -> str:
    """Tell the kind by the file's first bytes, which its name must agree with."""
    with path.open("rb") as file:
        start = file.read(_MAGIC_BYTES)
    name = path.name.lower()
    found = "file"
    if start.startswith(b"PK"):
        found = "zip"
    elif start.startswith(b"\x1f\x8b"):
        found = "tar.gz"
    elif start[257:262] == b"ustar":
        found = "tar"
    elif start.startswith((b"BZh", b"\xfd7zXZ\x00", b"(\xb5/\xfd", b"7z\xbc\xaf'\x1c", b"Rar!")):
        raise UsageError(f"{path}: this packing is not read; pack it as .zip, .tar or .tar.gz")
    endings = {"zip": (".zip",), "tar": (".tar",), "tar.gz": (".tar.gz", ".tgz")}
    named = next((kind for kind, ends in endings.items() if name.endswith(ends)), "file")
    if named != found:
        raise BadDataError(
            f"{path}: named as a {named} but its first bytes are those of a {found}; fetch it again"
            " or give it the name of its kind"
        )
    return found


@lru_cache(maxsize=4)
def attached(make: Callable[..., Release], process: int, *arguments: object) -> Release:
    """Open a release once in a process: what unpickling one calls through `attach`."""
    return make(*arguments)


def attach(make: Callable[..., Release], *arguments: object) -> Release:
    """Return this process's own copy of a release that was opened in another."""
    return attached(make, os.getpid(), *arguments)


def scratch_folder(scratch: Path | None) -> "tempfile.TemporaryDirectory[str]":
    """Return a folder of the release's own inside `scratch`, which is made where it is not."""
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix="release-", dir=scratch)
