"""Reads CSV as the mapping declares it, and says what it looks like when it is another."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from mmedagent.cases.sources.own.mapping import TableFile
from mmedagent.cases.sources.own.problems import Problems
from mmedagent.cases.sources.own.tables import Row, check_columns

if TYPE_CHECKING:
    from mmedagent.cases.sources.release import Release

DELIMITERS = (",", ";", "\t", "|")
_NAMED = {"\t": '"\\t"'}
_HEAD = 2**18
_LIKELY = (
    *("utf_8", "utf_16_le", "utf_16_be", "cp1252", "cp1250", "cp1251", "cp1253", "cp1254"),
    *("cp1255", "cp1256", "cp1257", "cp1258", "cp874", "koi8_r", "mac_roman", "cp850"),
    *("shift_jis", "gb18030", "big5", "euc_kr", "euc_jp"),
)
"""What programs in use write; a short text in another one would be taken for anything."""
_LINE = 2**20
_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def rows(
    release: "Release", table: TableFile, wanted: Sequence[str], problems: Problems
) -> Iterator[Row]:
    """Yield the rows of a CSV; see `tables.read_rows`."""
    encoding, delimiter = str(table.encoding), str(table.delimiter)
    with release.open(table.path, table.path) as stream:
        head = stream.read(_HEAD)
    _check_encoding(head, encoding, problems)
    number = 1
    with release.open(table.path, table.path) as stream:
        text = io.TextIOWrapper(stream, encoding, errors="strict", newline="")
        lines = csv.reader(_lines(text, problems), delimiter=delimiter, strict=True)
        try:
            header = [name.strip() for name in next(lines, [])]
            check_columns(header, wanted, problems, _other_delimiter(head, table, wanted))
            places = [(name, header.index(name)) for name in wanted]
            for cells in lines:
                number += 1
                if len(cells) == len(header):
                    yield Row(number, {name: cells[place] for name, place in places})
                elif cells:
                    problems.add(
                        number,
                        None,
                        f"{len(cells)} cells, the header has {len(header)}",
                        f"put cells that hold {_name(delimiter)} between double quotes",
                    )
                if problems.full:
                    return
        except UnicodeDecodeError as error:
            raise _not(
                encoding,
                looks_like(error.object[max(0, error.start - 4096) :]),
                problems,
                number + 1,
            ) from None
        except UnicodeError:
            raise _not(encoding, looks_like(head), problems, number + 1) from None
        except csv.Error:
            raise problems.fatal(
                number + 1,
                "a quoted cell that is not closed, or text behind its closing quote",
                'write a double quote within a cell twice (""), or see where one is missing',
            ) from None


def looks_like(head: bytes) -> str | None:
    """Return the encoding that some bytes of a text are most likely in, None when none fits."""
    from charset_normalizer import from_bytes

    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    if _is_utf8(head):
        return "utf-8"
    best = from_bytes(head[:65_536], cp_isolation=list(_LIKELY)).best()
    return best.encoding if best is not None else None


def header_of(head: bytes, encoding: str, delimiter: str) -> list[str]:
    """Return the first record's cells; `UnicodeError` or `csv.Error` when it cannot be read."""
    text = head.decode(encoding, "ignore")
    return [cell.strip() for cell in next(csv.reader(io.StringIO(text), delimiter=delimiter), [])]


def _lines(text: TextIO, problems: Problems) -> Iterator[str]:
    while line := text.readline(_LINE + 1):
        if len(line) > _LINE:
            raise problems.fatal(
                None, f"a line of more than {_LINE} characters", "is it a table at all?"
            )
        yield line


def _check_encoding(head: bytes, encoding: str, problems: Problems) -> None:
    """Refuse what decodes without an error and is wrong all the same."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            if encoding not in (name, f"{name}-le", f"{name}-be"):
                raise _not(encoding, name, problems)
            return
    wide = encoding.startswith(("utf", "ascii")) or len("é".encode(encoding, "replace")) > 1
    if not wide and not head.isascii() and _is_utf8(head):
        # Any bytes are valid in an encoding of one byte a character: `Ã©` is a misread `é`.
        raise _not(encoding, "utf-8", problems)


def _is_utf8(head: bytes) -> bool:
    for cut in range(4):
        try:
            head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return True
    return False


def _not(encoding: str, found: str | None, problems: Problems, row: int | None = None) -> Exception:
    looks = f"; it looks like {found}" if found else ""
    mend = f"put `encoding: {found}` under `table`" if found else "export the table as UTF-8"
    return problems.fatal(row, f"not {encoding}, as the mapping says{looks}", mend)


def _other_delimiter(head: bytes, table: TableFile, wanted: Sequence[str]) -> str:
    """Return the mend when another delimiter gives more of the wanted columns, else nothing."""

    def known(delimiter: str) -> int:
        try:
            cells = header_of(head, str(table.encoding), delimiter)
        except (UnicodeError, csv.Error):
            return 0
        return len(set(cells) & set(wanted))

    best = max(DELIMITERS, key=known)
    if known(best) <= known(str(table.delimiter)):
        return ""
    return (
        f"it looks as if {_name(best)} stood between the cells: put `delimiter: {_quoted(best)}`"
        " under `table`"
    )


def _name(delimiter: str) -> str:
    return "a tab" if delimiter == "\t" else f"`{delimiter}`"


def _quoted(delimiter: str) -> str:
    return _NAMED.get(delimiter, f'"{delimiter}"')
