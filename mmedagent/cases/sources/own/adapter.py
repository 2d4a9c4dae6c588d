"""The source `own`: a folder or archive of images with one table, read by a mapping file."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from mmedagent.cases.privacy.pseudonym import DEFAULT_KEY, Pseudonyms, load_key
from mmedagent.cases.sources.contract import SourceCase
from mmedagent.cases.sources.own.mapping import read_mapping
from mmedagent.cases.sources.own.paths import path_problem
from mmedagent.cases.sources.own.problems import Problems
from mmedagent.cases.sources.own.rows import RowReader
from mmedagent.cases.sources.own.tables import read_rows
from mmedagent.errors import UsageError

if TYPE_CHECKING:
    from mmedagent.cases.sources.release import Release
    from mmedagent.recipes.sets import SourceRecipe


class OwnCases:
    """A hospital's own cases. Nothing is guessed: the mapping file says what each column is."""

    name = "own"
    title = "Own cases"
    licence = "the hospital's own; nothing of it is published by this project"
    homepage = "docs/own-cases.md"

    def __init__(self, key: Path = DEFAULT_KEY) -> None:
        self._key = key

    def cases(
        self, release: "Release", recipe: "SourceRecipe", skipped: Counter[str]
    ) -> Iterator[SourceCase]:
        """Yield the table's rows as cases; nothing is left out, so `skipped` stays as it is.

        From the first bad row on nothing is yielded any more; when twenty bad cells were met, or
        at the end, `BadDataError` names them all. Raises `UsageError` when the mapping file or the
        table is missing.
        """
        if recipe.mapping is None:
            raise UsageError(
                "own cases need a mapping file, which says what each column is: `mmedagent data"
                " init` makes one, `--mapping` names it"
            )
        mapping = read_mapping(Path(recipe.mapping))
        if mapping.images.folder and (found := path_problem(mapping.images.folder)):
            raise UsageError(f"{recipe.mapping}: images.folder is {found[0]}: {found[1]}")
        problems = Problems(mapping.table.path)
        reader = RowReader(release, problems, mapping, Pseudonyms(load_key(self._key)))
        with closing(_Met()) as met:
            for row in read_rows(release, mapping.table, mapping.columns(), problems):
                case = reader.case(row)
                if case is not None and (first := met.before(case.key, row.number)):
                    what = "the same id as" if mapping.id else "the same as"
                    problems.add(row.number, mapping.id, f"{what} row {first}", "take one out")
                if problems.full:
                    break
                if case is not None and not problems:
                    yield case
        problems.raise_if_any()


class _Met:
    """Remembers which keys were met, on disk when they are many: memory stays constant."""

    def __init__(self) -> None:
        # A pool's feeding thread may take over the iterator, never two at once.
        self._database = sqlite3.connect("", check_same_thread=False)
        self._database.execute("create table met (key text primary key, row int) without rowid")

    def before(self, key: str, row: int) -> int | None:
        """Return the row that had this key before, else None and remember it."""
        try:
            self._database.execute("insert into met values (?, ?)", (key, row))
        except sqlite3.IntegrityError:
            [found] = self._database.execute("select row from met where key = ?", (key,))
            return int(found[0])
        return None

    def close(self) -> None:
        self._database.close()


SOURCE = OwnCases()
