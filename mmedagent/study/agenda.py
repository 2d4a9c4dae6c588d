"""What is to be done, and what may be done next: a seed's shared work comes before its cells."""

import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from mmedagent.errors import UsageError
from mmedagent.study.context import Row

SEEDS = {"conclusions": 5, "rest": 3}
"""Seeds of a row, by what the page does with it."""
QUICK_SEEDS = 2
DERIVED = ("panel_majority", "best_specialist")
"""Rows that take no work: the page computes them from what a seed's cells share."""
_QUICK_ROWS = (
    "full",
    "paper",
    "start",
    "supervised_with_opinions",
    "triage_classifier",
    "random_specialty",
    "self_vote",
)


@dataclass(frozen=True)
class Task:
    """One piece of work: a cell, or without a row what the cells of a seed share."""

    seed: int
    row: Row | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.row.name}/seed-{self.seed}" if self.row else f"shared/seed-{self.seed}"


class Agenda:
    """Hands out tasks: seed by seed over all rows, so that an early stop has balanced seeds."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        """Take the cells to be done; each seed's shared work is added before them."""
        asked = list(tasks)
        self._waiting: list[Task] = []
        for seed in sorted({task.seed for task in asked}):
            cells = [task for task in asked if task.seed == seed and task.row]
            self._waiting += [Task(seed), *cells]
        self._ready: set[int] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def waiting(self) -> Sequence[Task]:
        """What has not been handed out."""
        return tuple(self._waiting)

    def next(self, avoid: Collection[str] = ()) -> Task | None:
        """Hand out the first task that prepares a seed or whose seed is prepared.

        Names in `avoid` are passed over. None: nothing can be done now, or nothing is left.
        """
        for task in self._waiting:
            if task.name not in avoid and (task.row is None or task.seed in self._ready):
                self._waiting.remove(task)
                return task
        return None

    def put_back(self, task: Task) -> None:
        """Take back a task that could not be done now; it comes first of its seed again."""
        at = next((n for n, t in enumerate(self._waiting) if t.seed >= task.seed), None)
        self._waiting.insert(len(self._waiting) if at is None else at, task)

    def prepared(self, seed: int) -> None:
        """Say that the shared work of `seed` is done."""
        self._ready.add(seed)

    def give_up(self, seed: int) -> list[Task]:
        """Drop the cells of a seed whose shared work failed, and return them."""
        dropped = [task for task in self._waiting if task.seed == seed]
        self._waiting = [task for task in self._waiting if task.seed != seed]
        return dropped


def choose_rows(rows: Sequence[Row], patterns: Sequence[str]) -> tuple[Row, ...]:
    """Return the rows whose names match one of `patterns` (`full`, `*by_tier`), in their order.

    Raises `UsageError` for a pattern that matches none, with the nearest names.
    """
    names = [row.name for row in rows]
    chosen: set[str] = set()
    for pattern in patterns:
        found = {name for name in names if fnmatchcase(name, pattern)}
        if not found and not any(fnmatchcase(name, pattern) for name in DERIVED):
            near = difflib.get_close_matches(pattern.strip("*"), names, n=3, cutoff=0.4)
            hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise UsageError(f"--rows {pattern!r}: no row is called that.{hint} All: {_all(names)}")
        chosen |= found
    return tuple(row for row in rows if row.name in chosen) if patterns else tuple(rows)


def quick_rows(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return one row of each kind: enough to run all of the machinery."""
    first = {row.group: row.name for row in reversed(rows)}
    names = {*_QUICK_ROWS, *first.values()}
    return tuple(row for row in rows if row.name in names)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds that `text` names: `0-4`, `0,2,5`, `7`.

    Raises `UsageError` when it names none.
    """
    seeds: set[int] = set()
    for part in text.replace(" ", "").split(","):
        low, dash, high = part.partition("-")
        if not low.isdigit() or (dash and not high.isdigit()) or (dash and int(high) < int(low)):
            raise UsageError(f"--seeds {text!r}: write numbers and ranges, such as 0-4 or 0,2,5")
        seeds |= set(range(int(low), int(high or low) + 1))
    return tuple(sorted(seeds))


def plan(rows: Sequence[Row], seeds: Sequence[int] | None, quick: bool = False) -> list[Task]:
    """Return all cells: `seeds` of every row, or as many from 0 as each row's conclusions need.

    Without rows (all that was asked for is derived) what the seeds share is the work.
    """

    def wanted(needed: str) -> Sequence[int]:
        return seeds or range(QUICK_SEEDS if quick else SEEDS[needed])

    if not rows:
        return [Task(seed) for seed in wanted("conclusions")]
    return [Task(seed, row) for row in rows for seed in wanted(row.seeds_needed)]


def _all(names: Sequence[str]) -> str:
    return ", ".join([*names, *DERIVED])
