"""Releases that need no unpacking: a folder, and a single file."""

import os
import stat
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from mmedagent.cases.sources.members import Tally
from mmedagent.cases.sources.release import Release, open_release
from mmedagent.errors import BadDataError, UsageError
from mmedagent.recipes.sets import LimitsRecipe


class FolderRelease(Release):
    """The files below a folder; a symbolic link in it is refused, wherever it points."""

    def __init__(self, path: Path, limits: LimitsRecipe, known: bool = False) -> None:
        super().__init__(path, limits)
        self._nested: list[Release] = []
        if not known:
            self.names()

    def __reduce__(self) -> tuple[Any, ...]:
        return FolderRelease, (self.path, self.limits, True)  # walked once, by who opened it

    def nested(self, name: str) -> Release:
        """Open an archive in the folder; it is closed with it."""
        if name not in self:
            raise UsageError(f"{self.place(name)}: not in the release")
        self._nested.append(open_release(self.path / name, self.limits))
        return self._nested[-1]

    def close(self) -> None:
        """Close the archives that were opened in it: a folder itself is not held open."""
        for release in self._nested:
            release.close()
        self._nested.clear()

    @cached_property
    def _sorted(self) -> Sequence[str]:
        tally = Tally(str(self.path), self.limits, f"`find {self.path}` lists them")
        return sorted(_files(self.path, "", tally))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _is_plain(name) and (self.path / name).is_file()

    def _stream(self, name: str, place: str) -> BinaryIO:
        return open_plain(self.path / name, self.limits, place)


class FileRelease(Release):
    """One file, whose name is its own."""

    def __init__(self, path: Path, limits: LimitsRecipe) -> None:
        super().__init__(path, limits)
        tally = Tally(str(path), limits, "the file")
        tally.met()
        tally.size(path.stat().st_size)

    def __reduce__(self) -> tuple[Any, ...]:
        return FileRelease, (self.path, self.limits)

    def place(self, name: str) -> str:
        """Return the file's name."""
        return name

    def close(self) -> None:
        """Do nothing: a file is opened by who reads it."""

    @cached_property
    def _sorted(self) -> Sequence[str]:
        return [self.path.name]

    def __contains__(self, name: object) -> bool:
        return name == self.path.name

    def _stream(self, name: str, place: str) -> BinaryIO:
        return open_plain(self.path.resolve(), self.limits, place)


def open_plain(path: Path, limits: LimitsRecipe, place: str) -> BinaryIO:
    """Open a regular file, following no link. Raises `BadDataError` for anything else."""
    try:
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
    except OSError as error:
        raise BadDataError(f"{place}: cannot be opened ({error.strerror})") from error
    facts = os.fstat(file.fileno())
    if not stat.S_ISREG(facts.st_mode) or facts.st_size > limits.max_member_bytes:
        file.close()
        raise BadDataError(
            f"{place}: no regular file of at most {limits.max_member_bytes} bytes; leave it out, or"
            " raise `limits.max_member_bytes` of the data set"
        )
    return file


def _is_plain(name: str) -> bool:
    return not name.startswith("/") and ".." not in name.split("/") and "\0" not in name


def _files(folder: Path, inside: str, tally: Tally) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            tally.met()
            name = tally.name(inside + entry.name)
            if entry.is_symlink():
                raise BadDataError(
                    f"{tally.release}: holds a symbolic link (`find {tally.release} -type l` lists"
                    " them); links are not followed: copy the folder with `cp -rL`"
                )
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path), f"{name}/", tally)
            elif entry.is_file(follow_symlinks=False):
                tally.size(entry.stat(follow_symlinks=False).st_size)
                yield name
            else:
                raise BadDataError(
                    f"{tally.release}: holds a device, pipe or socket (`find {tally.release}"
                    " ! -type f ! -type d` lists them); take it out"
                )
