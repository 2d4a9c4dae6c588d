"""Reads JSONL: one JSON object a line, UTF-8."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mmedagent.cases.sources.own.mapping import TableFile
from mmedagent.cases.sources.own.problems import Problems
from mmedagent.cases.sources.own.tables import Row, check_columns

if TYPE_CHECKING:
    from mmedagent.cases.sources.release import Release

_LINE = 2**20


class _Twice(ValueError):
    """A key occurs twice in one object."""


def rows(
    release: "Release", table: TableFile, wanted: Sequence[str], problems: Problems
) -> Iterator[Row]:
    """Yield the lines of a JSONL file; see `tables.read_rows`. Empty lines are left out."""
    met: dict[str, None] = {}
    with release.open(table.path, table.path) as stream:
        number = 0
        while line := stream.readline(_LINE + 1):
            number += 1
            if len(line) > _LINE:
                raise problems.fatal(
                    number,
                    f"more than {_LINE} bytes",
                    "put one JSON object on each line; a JSON file with one list is no JSONL",
                )
            if not line.strip():
                continue
            cells = _object(line, number, problems)
            if cells is not None:
                if not met:
                    check_columns(list(cells), wanted, problems)
                    met = dict.fromkeys(wanted)
                yield Row(number, {name: cells.get(name) for name in wanted})
            if problems.full:
                return


def _object(line: bytes, number: int, problems: Problems) -> dict[str, Any] | None:
    try:
        value = json.loads(line.decode("utf-8"), object_pairs_hook=_once, parse_constant=_constant)
    except UnicodeDecodeError:
        problems.add(number, None, "not UTF-8, as JSON is", "write the table as UTF-8")
    except _Twice:
        problems.add(number, None, "a key that occurs twice", "keep one of them")
    except (ValueError, RecursionError):
        problems.add(number, None, "no JSON object", "put one JSON object, whole, on each line")
    else:
        if isinstance(value, dict):
            return value
        problems.add(number, None, "JSON, and no object", 'write {"column": value, ...}')
    return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _Twice
    return dict(pairs)


def _constant(name: str) -> None:
    raise ValueError(name)
