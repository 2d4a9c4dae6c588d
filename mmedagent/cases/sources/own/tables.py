"""Reads a table row by row, in memory that does not grow with it: CSV, JSONL or Parquet."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from mmedagent.cases.sources.own.mapping import TableFile
from mmedagent.cases.sources.own.problems import Problems
from mmedagent.errors import UsageError

if TYPE_CHECKING:
    from mmedagent.cases.sources.release import Release

_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_SUFFIXES |= {".parquet": "parquet"}
_PARQUET_BATCH = 512


@dataclass(frozen=True)
class Row:
    """The wanted cells of one row."""

    number: int
    """From 1; in a CSV the header is row 1, as a spreadsheet shows it."""
    cells: dict[str, Any]
    """Column -> text, or what a JSONL or Parquet file holds there."""


def format_of(path: str) -> str | None:
    """Return the table format that a file's name announces, None for another one."""
    return next((kind for end, kind in _SUFFIXES.items() if path.lower().endswith(end)), None)


def read_rows(
    release: "Release", table: TableFile, wanted: Sequence[str], problems: Problems
) -> Iterator[Row]:
    """Yield the rows with the `wanted` columns; a row that is not whole goes to `problems`.

    Raises `UsageError` when the release has no such table, and `BadDataError` when it cannot be
    read as declared or lacks a wanted column; the message says what it looks like instead.
    """
    if table.path not in release:
        there = [name for name in release.names() if format_of(name)][:5]
        raise UsageError(
            f"{release.path.name} has no table {table.path!r}; it has {there or 'no table at all'}"
        )
    if table.format == "csv":
        from mmedagent.cases.sources.own.csv_table import rows
    elif table.format == "jsonl":
        from mmedagent.cases.sources.own.json_table import rows
    else:
        rows = _parquet_rows
    yield from rows(release, table, wanted, problems)


def check_columns(
    there: Sequence[str], wanted: Sequence[str], problems: Problems, hint: str = ""
) -> None:
    """Raise `BadDataError` for columns that occur twice or are missing."""
    missing = [name for name in wanted if name not in there]
    if missing:
        near = [(name, get_close_matches(name, there, 1, 0.6)) for name in missing]
        said = ", ".join(
            f"{name!r}" + (f" (is it {match[0]!r}?)" if match else "") for name, match in near
        )
        raise problems.fatal(
            None,
            f"no column {said} among its {len(there)}",
            hint or "correct the mapping; the first row must hold the columns' names",
        )
    first: dict[str, int] = {}
    for number, name in enumerate(there, 1):
        if name in first and name:
            raise problems.fatal(
                None,
                f"columns {first[name]} and {number} have the same name",
                "rename one, so that it is clear which is meant",
            )
        first.setdefault(name, number)


def _parquet_rows(
    release: "Release", table: TableFile, wanted: Sequence[str], problems: Problems
) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with release.open(table.path, table.path) as stream:
        try:
            file = pq.ParquetFile(stream)
            check_columns(file.schema_arrow.names, wanted, problems)
            _check_groups(file.metadata, release.limits, problems)
            number = 0
            for batch in file.iter_batches(_PARQUET_BATCH, columns=list(wanted)):
                for cells in batch.to_pylist():
                    number += 1
                    yield Row(number, cells)
        except (pa.ArrowException, OSError, UnicodeDecodeError):
            # Arrow's own text may repeat a value.
            raise problems.fatal(
                None, "no readable Parquet file", "write it anew, or transfer it again"
            ) from None


def _check_groups(metadata: Any, limits: Any, problems: Problems) -> None:
    """Refuse a row group that unpacks to more than a member may: pages are read whole."""
    for number in range(metadata.num_row_groups):
        size = metadata.row_group(number).total_byte_size
        if size > limits.max_member_bytes or size < 0:
            raise problems.fatal(
                None,
                f"row group {number} claims {size} bytes, {limits.max_member_bytes} are allowed",
                "write it with smaller row groups",
            )
