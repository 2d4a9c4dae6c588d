"""The facts of a data version in one SQLite file: a row a case, a row an image, no image bytes.

Every check of the whole set is a query or a sorted pass over this file, so that memory does not
grow with the number of cases; Great Expectations reads it as it is. It is filled row group by row
group, each in one transaction: what a killed run has written stays, and the next one goes on.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmedagent.digests import digest_value

FACTS = "facts.sqlite"
LAYOUT = 1
"""Raised when the columns, or what they mean, change: facts of another layout are made anew."""

COLUMNS: dict[str, str] = {
    "position": "INTEGER PRIMARY KEY",
    "case_id": "TEXT",
    "question": "TEXT",
    "answer": "TEXT",
    "question_type": "TEXT",
    "modality": "TEXT",
    "specialty": "TEXT",
    "source": "TEXT",
    "subject": "TEXT",
    "pool": "TEXT",
    "suite": "TEXT",
    "answer_type": "TEXT",
    "language": "TEXT",
    "question_chars": "INTEGER",
    "options": "INTEGER",
    "open_options": "INTEGER",
    "repeated_options": "INTEGER",
    "blank_options": "INTEGER",
    "answer_is_option": "INTEGER",
    "letter": "TEXT",
    "question_key": "TEXT",
    "answer_key": "TEXT",
    "options_key": "TEXT",
    "options_set": "TEXT",
    "gives_away": "INTEGER",
    "images": "INTEGER",
    "image_digest": "TEXT",
    "image_problem": "TEXT",
    "width": "INTEGER",
    "height": "INTEGER",
    "pixels": "INTEGER",
    "image_bytes": "INTEGER",
}
"""What is known of a row by itself."""
JUDGED: dict[str, str] = {
    "same_image_as": "TEXT",
    "similar_image_to": "TEXT",
    "same_case_as": "TEXT",
    "subject_also_in": "TEXT",
    "contradicts": "TEXT",
    "answer_in_question": "TEXT",
    "blank_image": "TEXT",
    "imbalance": "REAL",
    "answer_share": "REAL",
    "option_order": "REAL",
}
"""What findings that stop a run and that nobody has reviewed write; null everywhere else."""
_SHOWN = "position, pool, digest, pixels, phash, spread, constant"
_TABLES = f"""
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE done (unit TEXT PRIMARY KEY, rows INTEGER);
CREATE TABLE cases ({", ".join(f"{name} {kind}" for name, kind in (COLUMNS | JUDGED).items())});
CREATE TABLE shown (
    position INTEGER, pool TEXT, digest TEXT, pixels TEXT, phash BLOB, spread REAL, constant INTEGER
);
"""
_INDEXES = """
CREATE INDEX IF NOT EXISTS case_ids ON cases (case_id);
CREATE INDEX IF NOT EXISTS suites ON cases (suite);
CREATE INDEX IF NOT EXISTS shown_images ON shown (digest, position);
CREATE TABLE IF NOT EXISTS pictures AS
    SELECT digest, pixels, phash, spread, constant, MIN(position) AS first
    FROM shown GROUP BY digest;
CREATE UNIQUE INDEX IF NOT EXISTS picture_digests ON pictures (digest);
CREATE TABLE IF NOT EXISTS picture_pools AS
    SELECT digest, pool, MIN(position) AS first, COUNT(DISTINCT position) AS cases
    FROM shown GROUP BY digest, pool;
CREATE INDEX IF NOT EXISTS picture_pool_digests ON picture_pools (digest);
"""


@dataclass(frozen=True)
class Facts:
    """An open fact file."""

    path: Path
    connection: sqlite3.Connection

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query, a few at a time."""
        cursor = self.connection.execute(sql, values)
        while rows := cursor.fetchmany(2_000):
            yield from rows

    def one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """Return the first column of the first row of a query."""
        return self.connection.execute(sql, values).fetchone()[0]

    def units_done(self) -> set[str]:
        """Return the names of the row groups whose facts are here."""
        return {unit for (unit,) in self.rows("SELECT unit FROM done")}

    def add(self, unit: str, cases: list[tuple[Any, ...]], shown: list[tuple[Any, ...]]) -> None:
        """Keep the facts of one row group: all of them or, when the process dies, none."""
        marks = ", ".join("?" * len(COLUMNS))
        with self.connection:
            self.connection.executemany(
                f"INSERT INTO cases ({', '.join(COLUMNS)}) VALUES ({marks})", cases
            )
            self.connection.executemany(
                f"INSERT INTO shown ({_SHOWN}) VALUES (?, ?, ?, ?, ?, ?, ?)", shown
            )
            self.connection.execute("INSERT INTO done VALUES (?, ?)", (unit, len(cases)))

    def finish(self) -> None:
        """Make the indexes and the tables of distinct images, once all row groups are there."""
        with self.connection:
            for statement in _INDEXES.split(";"):
                self.connection.execute(statement)

    def forget_findings(self) -> None:
        """Undo what an earlier run over these facts has judged."""
        unset = ", ".join(f"{name} = NULL" for name in JUDGED)
        judged = " OR ".join(f"{name} IS NOT NULL" for name in JUDGED)
        with self.connection:
            self.connection.execute(f"UPDATE cases SET {unset} WHERE {judged}")

    def execute(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each of `rows`, in one transaction."""
        with self.connection:
            self.connection.executemany(sql, rows)


@contextmanager
def open_facts(folder: Path, key: dict[str, Any]) -> Iterator[Facts]:
    """Open the fact file in `folder`; one that was made of something else than `key` goes first.

    `key` names everything that decides the facts: the data version and the recipe's bounds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FACTS
    about = json.dumps({"key": digest_value(key), "layout": LAYOUT}, sort_keys=True)
    if _about(path) != about:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        with closing(_connect(path)) as fresh, fresh:
            fresh.executescript(_TABLES)
            fresh.execute("INSERT INTO about VALUES ('about', ?)", (about,))
    with closing(_connect(path)) as connection:
        yield Facts(path, connection)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    # A killed process loses nothing that it committed; only a power cut could, and then the facts
    # are made anew. Sorting spills to files beside this one, 64 MB of pages stay in memory.
    for pragma in ("journal_mode = WAL", "synchronous = OFF", "temp_store = FILE"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("PRAGMA cache_size = -65536")
    return connection


def _about(path: Path) -> str | None:
    """Return what the facts in the file were made of, None when there are none that can be read."""
    try:
        with closing(_connect(path)) as connection:
            row = connection.execute("SELECT value FROM about WHERE key = 'about'").fetchone()
    except sqlite3.DatabaseError:  # new, killed while it was made, or no database at all
        return None
    return str(row[0]) if row else None
