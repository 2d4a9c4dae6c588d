"""Collects what is wrong with a table's rows, so that a person mends twenty at a time.

A message says where, what kind of thing is wrong and what mends it. It never repeats a cell, a file
name or a header that no mapping names: any of them may identify a patient.
"""

from mmedagent.errors import BadDataError

MOST = 20
"""Bad cells that are listed before reading stops."""


class Problems:
    """The bad cells of one table, in the order that they were met."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._found: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def __len__(self) -> int:
        return len(self._found)

    @property
    def full(self) -> bool:
        """Say whether as many were found as are listed."""
        return len(self._found) >= MOST

    def add(self, row: int, column: str | None, what: str, mend: str) -> None:
        """Note one; `row` counts from 1, in a CSV with its header, as a spreadsheet shows it."""
        if not self.full:
            self._found.append(f"{self.place(row, column)}: {what}; {mend}")

    def place(self, row: int, column: str | None = None) -> str:
        """Return where a cell or row is."""
        return f"{self._table} row {row}" + (f", column {column}" if column else "")

    def fatal(self, row: int | None, what: str, mend: str) -> BadDataError:
        """Return the error for what leaves nothing more to read, after those found before."""
        last = f"{self._table}{f' row {row}' if row else ''}: {what}; {mend}"
        return BadDataError("\n".join([*self._found, last]))

    def raise_if_any(self) -> None:
        """Raise `BadDataError` with all that were found, one a line."""
        if not self._found:
            return
        stopped = f"\n(reading stopped at {MOST}; there may be more)" if self.full else ""
        count = "1 bad cell" if len(self._found) == 1 else f"{len(self._found)} bad cells"
        raise BadDataError(f"{self._table}: {count}\n" + "\n".join(self._found) + stopped)
