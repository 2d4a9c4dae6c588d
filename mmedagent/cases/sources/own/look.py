"""Looks at a folder and its table before there is a mapping: what columns are like, never cells."""

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mmedagent.cases.sources.own.cells import list_problem, text_of
from mmedagent.cases.sources.own.mapping import TableFile
from mmedagent.cases.sources.own.problems import Problems
from mmedagent.cases.sources.own.tables import format_of, read_rows
from mmedagent.errors import BadDataError

if TYPE_CHECKING:
    from mmedagent.cases.sources.release import Release

_HEAD = 2**18
_MOST_DISTINCT = 10_000
_DATA = re.compile(
    r"[\d\s.,/:-]*|.*\d{1,4}[./-]\d{1,2}[./-]\d{1,4}.*|.*@.*"
    r"|.*\.(?:png|jpe?g|tiff?|bmp|gif|dcm|nii|gz)",
    re.S | re.I,
)
"""A first row with such a cell names no columns: it is empty, a number, a date, a file, ..."""
_FILE = re.compile(r"[^\n]{1,250}\.[A-Za-z0-9]{1,6}")
_FOLDERS = 200
"""Folders of the release that are tried as what a column's paths are relative to."""
_TRIED = 100
"""Cells of a column with which all of them are tried; then only those that had a file."""


@dataclass
class Column:
    """What one column is like; counts and lengths, no cell."""

    name: str
    filled: int = 0
    numbers: int = 0
    lists: int = 0
    longest: int = 0
    files: dict[str, int] = field(default_factory=dict)
    """Folder -> how many cells name a file in it."""
    _distinct: set[int] = field(default_factory=set)
    _tried: int = 0

    @property
    def distinct(self) -> str:
        """How many different cells there are, up to ten thousand."""
        full = len(self._distinct) >= _MOST_DISTINCT
        return f"{_MOST_DISTINCT}+" if full else str(len(self._distinct))

    @property
    def folder(self) -> str | None:
        """The folder that most of the cells name files in, None when they name none."""
        return max(self.files, key=lambda name: self.files[name]) if self.files else None

    @property
    def kind(self) -> str:
        """`files`, `lists`, `numbers`, `text` or `empty`: what most cells are."""
        if not self.filled:
            return "empty"
        half = self.filled / 2
        if max(self.files.values(), default=0) > half:
            return "files"
        if self.lists > half:
            return "lists"
        return "numbers" if self.numbers > half else "text"

    def add(self, value: Any) -> str:
        """Count one cell and return it as text."""
        text = text_of(value)
        if not isinstance(text, str):
            self.filled += 1
            self.lists += isinstance(value, list | tuple)
            return ""
        if text:
            self.filled += 1
            self.numbers += _is_number(text)
            self.lists += list_problem(text) is not None
            self.longest = max(self.longest, len(text))
            if len(self._distinct) < _MOST_DISTINCT:
                self._distinct.add(hash(text))
        return text

    def try_folders(self, text: str, release: "Release", folders: Sequence[str]) -> None:
        """Count in which of `folders` the cell `text` names a file."""
        if not _FILE.fullmatch(text):
            return
        self._tried += 1
        for folder in folders if self._tried <= _TRIED else list(self.files):
            if posixpath.normpath(posixpath.join(folder, text)) in release:
                self.files[folder] = self.files.get(folder, 0) + 1


def tables(release: "Release") -> list[str]:
    """Return the names of the release's tables."""
    return [name for name in release.names() if format_of(name)]


def csv_facts(release: "Release", path: str) -> tuple[str | None, str]:
    """Return the encoding and the delimiter that a CSV looks as if it had: proposals, to confirm.

    Raises `BadDataError` when the table is empty.
    """
    from mmedagent.cases.sources.own.csv_table import DELIMITERS, header_of, looks_like

    with release.open(path, path) as stream:
        head = stream.read(_HEAD)
    if not head.strip():
        raise BadDataError(f"{path}: the table is empty; export it again")
    encoding = looks_like(head)
    counts = {mark: len(header_of(head, encoding or "latin-1", mark)) for mark in DELIMITERS}
    return encoding, max(counts, key=lambda mark: counts[mark])


def column_names(release: "Release", table: TableFile) -> tuple[str, ...]:
    """Return the names of a table's columns.

    Raises `BadDataError` when it cannot be read, or its first row holds data and no names.
    """
    with release.open(table.path, table.path) as stream:
        if table.format == "parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            try:
                return tuple(pq.read_schema(stream).names)
            except (pa.ArrowException, OSError):
                raise BadDataError(f"{table.path}: no readable Parquet file") from None
        head = stream.read(_HEAD)
    if table.format == "jsonl":
        return _json_names(head, table.path)
    import csv

    from mmedagent.cases.sources.own.csv_table import header_of

    try:
        names = tuple(header_of(head, str(table.encoding), str(table.delimiter)))
    except (UnicodeError, csv.Error):
        raise BadDataError(
            f"{table.path}: its first row cannot be read; see its encoding"
        ) from None
    if any(_DATA.fullmatch(name) for name in names):
        raise BadDataError(
            f"{table.path} row 1: no names of columns but data, or a column without a name; put a"
            " first row that names every column"
        )
    return names


def columns(
    release: "Release", table: TableFile, names: Sequence[str], most: int = 10_000
) -> list[Column]:
    """Return what each column is like, from the first `most` rows.

    Raises `BadDataError` when the table cannot be read as declared.
    """
    found = [Column(name) for name in names]
    problems = Problems(table.path)
    folders = _folders(release)
    for count, row in enumerate(read_rows(release, table, names, problems)):
        if count >= most:
            break
        for column in found:
            column.try_folders(column.add(row.cells[column.name]), release, folders)
    problems.raise_if_any()
    return found


def words(release: "Release", table: TableFile, name: str, most: int = 12) -> list[str]:
    """Return the different words of one column, sorted; none when there are more than `most`.

    For a column that its owner has named as a category: a split, a kind.
    """
    found: set[str] = set()
    for row in read_rows(release, table, [name], Problems(table.path)):
        text = text_of(row.cells[name])
        if isinstance(text, str) and text:
            found.add(text)
        if len(found) > most:
            return []
    return sorted(found)


def _folders(release: "Release") -> list[str]:
    """Return the release's folders, the top one first."""

    def parents() -> Iterator[str]:
        for name in release.names():
            folder = posixpath.dirname(name)
            while folder:
                yield folder
                folder = posixpath.dirname(folder)

    return ["", *sorted(set(parents()), key=lambda name: (name.count("/"), name))[:_FOLDERS]]


def _json_names(head: bytes, path: str) -> tuple[str, ...]:
    import json

    try:
        first = json.loads(next(line for line in head.splitlines() if line.strip()))
        return tuple(dict(first))
    except (ValueError, TypeError, StopIteration, RecursionError):
        raise BadDataError(f"{path} row 1: no JSON object on the first line") from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
