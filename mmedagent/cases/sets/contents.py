"""Two versions' cases side by side: which came, which went, which changed, and in what.

Each case is a row of numbers in a temporary SQLite file: 64-bit hashes of its fields. So memory
stays bounded whatever the versions' size, and no text of a case is written anywhere but its id.
"""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmedagent.cases.layout import TEXT
from mmedagent.cases.sets.columns import Done, iter_columns, text_hashes
from mmedagent.errors import BadDataError

FIELDS = tuple(
    name
    for name in (*TEXT, "answer_type", "options", "images", "attributes")
    if name not in ("case_id", "pool")
)
"""What is compared, beside the pool."""
_COLUMNS = f"case_id TEXT PRIMARY KEY, pool TEXT, {', '.join(f'{name} INTEGER' for name in FIELDS)}"
_SAME = " AND ".join(f"one.{name} = two.{name}" for name in ("pool", *FIELDS))


@dataclass(frozen=True)
class Contents:
    """What became of the cases from the first version to the second."""

    before: int
    after: int
    """Cases of each."""
    came: dict[str, int]
    went: dict[str, int]
    """Pool -> cases that only the second, or only the first, has."""
    moved: dict[tuple[str, str], int]
    """(pool, pool) -> cases that went from one to the other."""
    changed: dict[str, int]
    """Field -> cases whose value differs; `pool` is among the fields."""
    changed_cases: int
    """A case with several changed fields counts once."""
    ids: dict[str, list[Any]]
    """`came`, `went`: the first ids; `changed`: pairs of id and the fields that differ."""

    @property
    def unchanged(self) -> int:
        """Cases that both versions have, all fields alike."""
        return self.after - sum(self.came.values()) - self.changed_cases


def compare_contents(one: Path, two: Path, named: int = 1000, done: Done | None = None) -> Contents:
    """Compare the data versions in the folders `one` and `two` case by case, by their ids.

    At most `named` ids of each kind are kept. Raises `BadDataError` when a version is not whole or
    has an id twice.
    """
    with _database() as database:
        counts = [
            _load(database, table, folder, done) for table, folder in (("one", one), ("two", two))
        ]
        return _contents(database, counts[0], counts[1], named)


def _contents(database: sqlite3.Connection, before: int, after: int, named: int) -> Contents:
    differ = ", ".join(f"sum(one.{name} != two.{name})" for name in ("pool", *FIELDS))
    joined = f"FROM one JOIN two USING (case_id) WHERE NOT ({_SAME})"
    total, *fields = database.execute(f"SELECT count(*), {differ} {joined}").fetchone()
    changed = dict(zip(("pool", *FIELDS), (int(count or 0) for count in fields), strict=True))
    moved = database.execute(
        "SELECT one.pool, two.pool, count(*) FROM one JOIN two USING (case_id)"
        " WHERE one.pool != two.pool GROUP BY 1, 2 ORDER BY 1, 2"
    )
    return Contents(
        before=before,
        after=after,
        came=_only_in(database, "two", "one"),
        went=_only_in(database, "one", "two"),
        moved={(source, target): int(count) for source, target, count in moved},
        changed={name: count for name, count in changed.items() if count},
        changed_cases=int(total),
        ids={
            "came": _first_ids(database, "two", "one", named),
            "went": _first_ids(database, "one", "two", named),
            "changed": _first_changed(database, joined, named),
        },
    )


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    with (
        tempfile.TemporaryDirectory(prefix="mmedagent-diff-") as folder,
        closing(sqlite3.connect(Path(folder) / "cases.db")) as database,
    ):
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        yield database


def _load(database: sqlite3.Connection, table: str, folder: Path, done: Done | None) -> int:
    database.execute(f"CREATE TABLE {table} ({_COLUMNS}) WITHOUT ROWID")
    marks = ", ".join("?" for _ in range(len(FIELDS) + 2))
    rows = 0
    for batch in iter_columns(folder, done=done):
        numbers = [text_hashes(batch[name]).tolist() for name in FIELDS]
        texts = (batch["case_id"].to_pylist(), batch["pool"].to_pylist())
        try:
            database.executemany(
                f"INSERT INTO {table} VALUES ({marks})", zip(*texts, *numbers, strict=True)
            )
        except sqlite3.IntegrityError:
            raise BadDataError(f"{folder}: a case id occurs twice: no version to compare") from None
        rows += batch.num_rows
    database.commit()
    return rows


def _only_in(database: sqlite3.Connection, table: str, other: str) -> dict[str, int]:
    rows = database.execute(
        f"SELECT pool, count(*) FROM {table} WHERE case_id NOT IN (SELECT case_id FROM {other})"
        " GROUP BY pool ORDER BY pool"
    )
    return {pool: int(count) for pool, count in rows}


def _first_ids(database: sqlite3.Connection, table: str, other: str, most: int) -> list[Any]:
    rows = database.execute(
        f"SELECT case_id FROM {table} WHERE case_id NOT IN (SELECT case_id FROM {other})"
        " ORDER BY case_id LIMIT ?",
        (most,),
    )
    return [case_id for (case_id,) in rows]


def _first_changed(database: sqlite3.Connection, joined: str, most: int) -> list[Any]:
    names = ("pool", *FIELDS)
    differ = ", ".join(f"one.{name} != two.{name}" for name in names)
    rows = database.execute(f"SELECT case_id, {differ} {joined} ORDER BY case_id LIMIT ?", (most,))
    return [
        [case_id, [name for name, differs in zip(names, flags, strict=True) if differs]]
        for case_id, *flags in rows
    ]
