"""Reads the cells of one row as the mapping means them; what is wrong is noted, cell by cell."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mmedagent.cases.sources.own.cells import (
    Finding,
    list_problem,
    parts_of,
    text_of,
    text_problem,
)
from mmedagent.cases.sources.own.mapping import Cells, Number, Term
from mmedagent.cases.sources.own.problems import Problems
from mmedagent.cases.sources.own.tables import Row

if TYPE_CHECKING:
    from mmedagent.cases.sources.release import Release

SHORT = 200
"""Characters of a subject, a type or an attribute."""
_WORDS: dict[str, dict[str, str]] = {
    "answer_type": {"closed": "closed", "open": "open"},
    "view.axis": {"axial": "axial", "coronal": "coronal", "sagittal": "sagittal"},
}
"""Words that need no translation."""


class BadCell(Exception):
    """A cell has a problem, which was noted."""


@dataclass
class CellReader:
    """Reads cells of `row`, which its owner sets; problems go to `problems`."""

    release: "Release"
    problems: Problems
    row: Row = field(init=False)

    def attempt(self, read: Any, *arguments: Any, **named: Any) -> Any:
        """Return what `read` gives, or None when it noted a problem: other cells are read on."""
        try:
            return read(*arguments, **named)
        except BadCell:
            return None

    def note(self, column: str | None, what: str, mend: str) -> BadCell:
        """Note a problem of the row and return what to raise."""
        self.problems.add(self.row.number, column, what, mend)
        return BadCell()

    def text(self, column: str, needed: bool = False, most: int | None = None) -> str:
        """Return a cell as text of at most `most` characters, by default a question's."""
        value = text_of(self.row.cells[column])
        if not isinstance(value, str):
            raise self.note(column, *value)
        if needed and not value:
            raise self.note(column, "empty", "fill it in, or take the row out")
        self.judge(column, text_problem(value, most or self.release.limits.max_question_chars))
        return value

    def judge(self, column: str, found: Finding | None) -> None:
        """Note `found` and raise `BadCell`; None is no problem."""
        if found is not None:
            raise self.note(column, *found)

    def several(self, cells: Cells) -> list[tuple[str, str]]:
        """Return the parts that are not empty, each with its column, in their order."""
        if cells.list is not None:
            [column] = cells.columns
            parts = parts_of(self.row.cells[column], cells.list)
            if isinstance(parts, tuple):
                raise self.note(column, *parts)
            for part in parts:
                self.judge(column, text_problem(part, self.release.limits.max_question_chars))
            return [(column, part) for part in parts if part]
        found = [(column, self.text(column)) for column in cells.columns]
        for column, text in found:
            self.judge(column, list_problem(text))
        return [(column, text) for column, text in found if text]

    def term(self, term: Term, name: str) -> str:
        """Return the one value of a field `name`, or its column's word, translated."""
        if term.column is None:
            return str(term.value)
        text = self.text(term.column, needed=True, most=SHORT)
        known: Any = term.values if term.values is not None else _WORDS.get(name)
        if known is None:
            return text
        if text not in known:
            raise self.note(
                term.column, f"a word that `{name}.values` does not have", "add it to the mapping"
            )
        return str(known[text])

    def number(self, source: Number) -> float | None:
        """Return a number, None for an empty cell."""
        if source.column is None:
            return source.value
        return self.parsed(source.column, self.text(source.column, most=SHORT))

    def parsed(self, column: str, text: str) -> float | None:
        """Return the number that `text` is, None when it is empty."""
        if not text:
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise self.note(column, "no number", "write it as 40 or -600.5")
        return number
