"""Paths in a table's cells: relative ones that stay within the release."""

import posixpath
import re
import unicodedata
from collections.abc import Iterable

from mmedagent.cases.sources.own.cells import Finding

_DRIVE = re.compile(r"[A-Za-z]:")


def path_problem(cell: str) -> Finding | None:
    """Return what is wrong with a path as it is written, or None."""
    mend = "write it relative to `images.folder`, with /"
    if "://" in cell:
        return "a web address", "fetch the image and name the file"
    if cell.startswith(("/", "~")) or _DRIVE.match(cell):
        return "an absolute path", mend
    if "\\" in cell:
        return "a path with backslashes", mend
    if ".." in cell.split("/"):
        return "a path that leaves the folder (..)", mend
    return None


def resolved(folder: str, cell: str) -> str:
    """Return the name of the file within the release."""
    return posixpath.normpath(posixpath.join(folder, cell))


def unlike(name: str, names: Iterable[str]) -> Finding:
    """Say how a name that is no file's differs from one that is; neither is repeated."""

    def loose(text: str) -> str:
        return unicodedata.normalize("NFC", text).casefold()

    near, stem = "", ""
    for other in names:
        if loose(other) == loose(name):
            near = other
        elif posixpath.splitext(other)[0] == name:
            stem = other
    if near:
        return (
            "names no file; one differs from it only in capitals or Unicode form",
            "write it as the file is called",
        )
    if stem:
        return "names no file; one has this name with an ending", "write the ending, too"
    return "names no file of the release", "mend the path or `images.folder`, or add the file"
