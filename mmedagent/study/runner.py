"""Runs a study's cells in worker processes, within a memory budget; goes on where it was."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from rich.console import Console

from mmedagent.atomic import write_text
from mmedagent.errors import BrokenEvidenceError, InterruptedWithCheckpoint, MMedAgentError
from mmedagent.study.agenda import Agenda, Task
from mmedagent.study.context import Context
from mmedagent.study.estimate import Estimate
from mmedagent.study.keeper import Keeper
from mmedagent.study.memory import ASSUMED_BYTES, workers_that_fit
from mmedagent.study.opening import open_study
from mmedagent.study.schema import Cell
from mmedagent.study.screen import Screen
from mmedagent.study.worker import WORK, Busy, Done, Failed, Work
from mmedagent.study.workers import Answer, Died, Worker, sweep_scratch
from mmedagent.study.workers import Pool as Workers

_POLL_SECONDS = 0.5
_BUSY_SECONDS = 2.0
_STALE_SECONDS = 60.0
_DEATHS_FORGIVEN = 1


@dataclass(frozen=True)
class Limits:
    """What a study may take of the machine."""

    jobs: int
    """Worker processes at once, each with one thread."""
    memory: int
    """Bytes of all workers together."""


@dataclass
class Outcome:
    """What a run of the study did."""

    done: int = 0
    """Cells that it made."""
    kept: int = 0
    """Cells that were there."""
    most_workers: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    """Task -> what it said."""


def run_study(
    context: Context,
    tasks: Sequence[Task],
    limits: Limits,
    console: Console,
    work: Work = WORK,
    overrides: Sequence[str] = (),
) -> Outcome:
    """Make every cell of `tasks` that is not there yet, and what their seeds share.

    Call it in the main thread: it takes SIGINT and SIGTERM. A task that fails is reported with
    its name and the others go on.

    Raises:
        UsageError: the folder holds a study of another recipe or other data.
        BrokenEvidenceError: a file of the study cannot be read, or is of another kind of row.
        InterruptedWithCheckpoint: stopped by a signal. Finished cells stay, half ones are gone.
        MMedAgentError: some tasks failed; it names them.
    """
    study, pools = open_study(context, overrides)
    sweep_scratch(context.work)
    _sweep_aside(context.out)
    return _Run(context, Keeper(context, study, pools), limits, work).go(tasks, console)


class _Run:
    def __init__(self, context: Context, keeper: Keeper, limits: Limits, work: Work) -> None:
        self._context, self._keeper = context, keeper
        self._limits, self._jobs = limits, limits.jobs
        self._workers = Workers(context, work)
        self._outcome = Outcome()
        self._peak = 0
        self._held: dict[str, float] = {}
        """Tasks that another process works on, and when to look again."""
        self._deaths: dict[str, int] = {}
        self._estimate = Estimate()

    def go(self, tasks: Sequence[Task], console: Console) -> Outcome:
        cells = [task for task in tasks if task.row is not None]
        shared = [Task(seed) for seed in sorted({task.seed for task in tasks})]
        missing = [task for task in [*shared, *cells] if not self._is_done(task)]
        self._outcome.kept = len(cells) - len([task for task in missing if task.row])
        self._agenda = Agenda(missing)
        with _stopping() as stop, Screen(console, self._outcome.kept, len(cells)) as screen:
            self._screen = screen
            if self._outcome.kept:
                screen.say(f"  {self._outcome.kept} of {len(cells)} cells are there")
            try:
                while (len(self._agenda) or self._workers.busy) and not stop:
                    self._hand_out()
                    for worker, answer in self._workers.answers(_POLL_SECONDS):
                        self._take(worker, answer)
                    if self._peak:  # a panel that a worker serves to itself counts with it
                        self._peak = max(self._peak, self._workers.held())
                    screen.running(self._names(), self._left())
            finally:
                self._workers.kill()
        if stop:
            done = self._outcome.kept + self._outcome.done
            raise InterruptedWithCheckpoint(
                f"stopped: {done} of {len(cells)} cells are there; the same command goes on"
            )
        self._report()
        return self._outcome

    def _hand_out(self) -> None:
        """Give every worker a task; start or retire workers as memory allows."""
        fit = workers_that_fit(self._jobs, self._limits.memory, self._peak or ASSUMED_BYTES)
        for worker in [w for w in self._workers.idle if not w.process.is_alive()]:
            self._workers.retire(worker)
        for worker in self._workers.idle[: max(0, len(self._workers.workers) - fit)]:
            self._workers.retire(worker)
        now = time.monotonic()
        held = [name for name, until in self._held.items() if until > now]
        while self._workers.idle or len(self._workers.workers) < fit:
            task = self._agenda.next(held)
            if task is None:
                return
            if self._is_done(task) and task.row is not None:  # by another process, meanwhile
                self._outcome.kept += 1
                continue
            idle = self._workers.idle
            (idle[0] if idle else self._workers.start()).give(task)
            self._outcome.most_workers = max(self._outcome.most_workers, len(self._workers.workers))

    def _take(self, worker: Worker, answer: Answer | Died) -> None:
        task, worker.task = worker.task, None
        assert task is not None
        if isinstance(answer, Died):
            self._workers.retire(worker)
            self._died(task, answer)
            return
        if isinstance(answer, Busy):
            self._held[task.name] = time.monotonic() + _BUSY_SECONDS
            self._agenda.put_back(task)
            return
        self._peak = max(self._peak, answer.peak)
        if isinstance(answer, Failed):
            self._fail(task, answer.message, answer.trace)
        else:
            try:
                self._keep(task, answer)
            except BrokenEvidenceError as error:
                self._fail(task, str(error), answer.text)
        worker.confirm()

    def _keep(self, task: Task, answer: Done) -> None:
        self._keeper.keep(task, answer.text)
        if task.row is None:
            self._agenda.prepared(task.seed)
        else:
            self._outcome.done += 1
        self._estimate.saw(task, answer.seconds)
        self._screen.ended(task.name, answer.seconds, task.row is not None, self._left())

    def _fail(self, task: Task, message: str, trace: str) -> None:
        path = self._context.work / "failures" / f"{task.name.replace('/', '.')}.txt"
        write_text(path, trace)
        self._outcome.failures[task.name] = message
        self._screen.failed(task.name, message)
        if task.row is None:
            for cell in self._agenda.give_up(task.seed):
                self._outcome.failures[cell.name] = f"not run: {task.name} failed"

    def _died(self, task: Task, answer: Died) -> None:
        """Try once more, with one worker less: most likely memory ran out."""
        self._jobs = max(1, len(self._workers.workers))
        self._deaths[task.name] = self._deaths.get(task.name, 0) + 1
        if self._deaths[task.name] > _DEATHS_FORGIVEN:
            self._fail(task, answer.reason, answer.reason)
        else:
            self._screen.say(f"  {task.name}: {answer.reason}; once more, {self._jobs} at a time")
            self._agenda.put_back(task)

    def _is_done(self, task: Task) -> bool:
        found = self._keeper.found(task)
        if isinstance(found, Cell):
            self._estimate.saw(task, found.cpu_seconds.total)
        return found is not None

    def _left(self) -> float | None:
        running = [(w.task, time.monotonic() - w.since) for w in self._workers.busy if w.task]
        lanes = max(1, len(self._workers.workers))
        return self._estimate.left(self._agenda.waiting, running, lanes)

    def _names(self) -> list[str]:
        return [worker.task.name for worker in self._workers.busy if worker.task]

    def _report(self) -> None:
        failures = self._outcome.failures
        if failures:
            lines = "".join(f"\n  {name}: {said}" for name, said in list(failures.items())[:20])
            raise MMedAgentError(
                f"{len(failures)} tasks of the study failed; their traces lie in"
                f" {self._context.work / 'failures'}. The same command tries them again.{lines}"
            )


@contextmanager
def _stopping() -> Iterator[list[int]]:
    """Yield a list that SIGINT and SIGTERM add to, instead of what they do otherwise."""
    seen: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        seen.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _sweep_aside(out: Path) -> None:
    """Remove what a runner that was killed while writing left beside its files."""
    for path in out.rglob(".*.aside"):
        if time.time() - path.stat().st_mtime > _STALE_SECONDS:
            path.unlink(missing_ok=True)


def default_jobs() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0))
