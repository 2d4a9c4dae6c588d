"""Gathers the facts of a data version: row group after row group, in worker processes."""

import os
import signal
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmedagent.cases.adding.progress import Tell
from mmedagent.cases.facts import COLUMNS, Facts
from mmedagent.cases.inspection import inspect
from mmedagent.cases.layout import from_arrow
from mmedagent.cases.source_rules import RULES, suite_of
from mmedagent.errors import BadDataError, MMedAgentError
from mmedagent.interrupt import StopRequest
from mmedagent.recipes.data import ValidationRecipe

PHASE = "inspecting cases"
_FEW = 4_000
"""Cases for which starting worker processes takes longer than it saves."""
_BATCH = 256
"""Rows of a row group that are decoded at once."""
_SECONDS_BETWEEN_LOOKS = 0.2
_FLAGS = ("repeated_options", "blank_options", "answer_is_option", "gives_away")


@dataclass(frozen=True)
class Unit:
    """One row group of one shard."""

    folder: Path
    relative: str
    group: int
    first: int
    """The position of its first row in the data version."""
    rows: int

    @property
    def name(self) -> str:
        """The unit's name in the fact file."""
        return f"{self.relative}#{self.group}"


Gathered = tuple[str, list[tuple[Any, ...]], list[tuple[Any, ...]]]
"""A unit's name, its rows of `cases` and its rows of `shown`."""


def gather(
    facts: Facts,
    folder: Path,
    manifest: dict[str, Any],
    recipe: ValidationRecipe,
    tell: Tell,
    stop: StopRequest,
    workers: int | None = None,
) -> int:
    """Write what `inspect` finds of every row into `facts`; return the number of rows.

    Row groups whose facts are there are not read again. Raises `BadDataError` when a shard is not
    readable, `MMedAgentError` when a worker dies, `InterruptedWithCheckpoint` when asked to stop.
    """
    units = list(units_of(folder, manifest))
    total = sum(unit.rows for unit in units)
    known = facts.units_done()
    waiting = [unit for unit in units if unit.name not in known]
    done = total - sum(unit.rows for unit in waiting)
    tell(PHASE, done, total)
    if workers is None:
        workers = 1 if total < _FEW else min(2, len(os.sched_getaffinity(0)))
    found = _in_this_process if workers == 1 else _in_workers
    with closing(found(waiting, recipe, stop, workers)) as results:
        for name, cases, shown in results:
            facts.add(name, cases, shown)
            done += len(cases)
            tell(PHASE, done, total)
            if stop.asked:
                raise stop.stopped(str(facts.path.parent))
    facts.finish()
    return total


def units_of(folder: Path, manifest: dict[str, Any]) -> Iterator[Unit]:
    """Yield the row groups of a verified version, in its order."""
    first = 0
    for relative in manifest["files"]:
        try:
            metadata = pq.read_metadata(folder / relative)
        except (pa.ArrowException, OSError) as error:
            raise BadDataError(f"{folder / relative} is no Parquet shard: {error}") from error
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group).num_rows
            yield Unit(folder, relative, group, first, rows)
            first += rows


def gather_unit(unit: Unit, recipe: ValidationRecipe) -> Gathered:
    """Return the facts of one row group, as tuples in the order of the tables' columns."""
    cases: list[tuple[Any, ...]] = []
    shown: list[tuple[Any, ...]] = []
    try:
        with pq.ParquetFile(unit.folder / unit.relative) as shard:
            for batch in shard.iter_batches(_BATCH, row_groups=[unit.group]):
                for record in inspect(from_arrow(batch), recipe):
                    position = unit.first + len(cases)
                    cases.append(_case(record, position))
                    shown += [_shown(one, record, position) for one in record["pictures"]]
    except (pa.ArrowException, OSError) as error:
        place = unit.folder / unit.relative
        raise BadDataError(f"{place} is no Parquet shard: {error}") from error
    return unit.name, cases, shown


def _case(record: dict[str, Any], position: int) -> tuple[Any, ...]:
    suite = suite_of(record["source"])
    known = record | {name: int(record[name]) for name in _FLAGS}
    known |= {"position": position, "suite": suite, "open_options": None}
    is_open = record["answer_type"] == "open"
    if is_open:
        known["open_options"] = record["options"] or None
    if is_open or (not record["options"] and RULES[suite].unlettered):
        known |= {"options": None, "answer_is_option": None}
    return tuple(known[name] for name in COLUMNS)


def _shown(picture: dict[str, Any], record: dict[str, Any], position: int) -> tuple[Any, ...]:
    names = ("digest", "pixels_digest", "phash", "spread")
    values = tuple(picture[name] for name in names)
    return (position, record["pool"], *values, int(picture["constant"]))


def _in_this_process(
    units: list[Unit], recipe: ValidationRecipe, stop: StopRequest, workers: int
) -> Generator[Gathered, None, None]:
    for unit in units:
        yield gather_unit(unit, recipe)


def _in_workers(
    units: list[Unit], recipe: ValidationRecipe, stop: StopRequest, workers: int
) -> Generator[Gathered, None, None]:
    """Yield each unit's facts as it is done; the order does not matter, each knows its place."""
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start)
    rest = iter(units)
    running: set[Future[Gathered]] = set()
    try:
        while True:
            for unit in rest:
                running.add(pool.submit(gather_unit, unit, recipe))
                if len(running) > workers:  # one more than are at work, so that none waits
                    break
            if not running:
                return
            done, running = wait(running, _SECONDS_BETWEEN_LOOKS, FIRST_COMPLETED)
            if stop.asked:
                raise stop.stopped("the facts that were gathered")
            for future in done:
                yield future.result()
    except BrokenProcessPool:
        raise MMedAgentError(
            "a worker process was ended from outside, perhaps for want of memory: run the same"
            " command again, it goes on where it was"
        ) from None
    finally:
        for process in list((pool._processes or {}).values()) if running else []:
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


def _start() -> None:
    """Make a worker end with its parent, whatever ends that, and leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:

        def follow() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()
