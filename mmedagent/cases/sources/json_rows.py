"""The rows of a JSON file that is one array of objects, one at a time."""

import io
import json
from collections.abc import Iterator
from typing import Any

from mmedagent.cases.sources.release import Release
from mmedagent.errors import BadDataError

_BLOCK = 1 << 18
_LARGEST_ROW = 1 << 24
"""Characters of one row: far above what any question has."""


def json_rows(release: Release, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each object of the array in file `name` with its place (`train.json[17]`, from 0).

    No more than a block and one row are held. Raises `BadDataError` that names the row where the
    file is no UTF-8, no JSON, or no array of objects.
    """
    place = release.place(name)
    decoder = json.JSONDecoder()
    number = 0
    with release.open(name) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig")
        buffer = _more(text, "", place).lstrip()
        if not buffer.startswith("["):
            raise BadDataError(f"{place}: not a JSON array; is this the file as it was released?")
        buffer = buffer[1:]
        while True:
            at = 0
            while True:  # all rows that are whole in the buffer
                start = _skip(buffer, at)
                if not buffer.startswith("{", start):
                    break
                try:
                    row, at = decoder.raw_decode(buffer, start)
                except RecursionError as error:
                    raise BadDataError(f"{place}[{number}]: nested too deep for a row") from error
                except ValueError:
                    break
                yield f"{place}[{number}]", row
                number += 1
            buffer = buffer[_skip(buffer, at) :]
            if buffer.startswith("]"):
                return
            before = len(buffer)
            if before > _LARGEST_ROW or len(buffer := _more(text, buffer, place)) == before:
                raise BadDataError(
                    f"{place}[{number}]: not a JSON object, or the file is cut short; fetch it"
                    " again"
                )


def _skip(buffer: str, at: int) -> int:
    while at < len(buffer) and buffer[at] in " \t\r\n,":
        at += 1
    return at


def _more(text: io.TextIOWrapper, buffer: str, place: str) -> str:
    try:
        return buffer + text.read(_BLOCK)
    except UnicodeDecodeError as error:
        raise BadDataError(f"{place}: not UTF-8; fetch the file again") from error
