"""The pool of worker processes: start, hand out, collect, retire, kill."""

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path

import psutil

from mmedagent.study.agenda import Task
from mmedagent.study.context import Context
from mmedagent.study.worker import Busy, Done, Failed, Work, kill_children, scratch_folder, serve

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
Answer = Done | Failed | Busy


@dataclass(frozen=True)
class Died:
    """The worker's process ended in the middle of a task."""

    exit_code: int | None

    @property
    def reason(self) -> str:
        """In words."""
        if self.exit_code == -signal.SIGKILL:
            return "its worker was killed: most often the machine ran out of memory"
        return f"its worker ended with code {self.exit_code}"


@dataclass
class Worker:
    """One process and what it works on."""

    process: multiprocessing.process.BaseProcess
    pipe: Connection
    task: Task | None = None
    since: float = field(default_factory=time.monotonic)

    def give(self, task: Task) -> None:
        """Let it work on `task`."""
        self.task, self.since = task, time.monotonic()
        self.pipe.send(task)

    def confirm(self) -> None:
        """Tell it that its result is kept, so that it may let go of the task's lock."""
        self.pipe.send(None)


class Pool:
    """Worker processes, started when asked for."""

    def __init__(self, context: Context, work: Work) -> None:
        self._context, self._work = context, work
        self._spawn = multiprocessing.get_context("spawn")
        self._number = 0
        self.workers: list[Worker] = []

    @property
    def idle(self) -> list[Worker]:
        """Workers without a task."""
        return [worker for worker in self.workers if worker.task is None]

    @property
    def busy(self) -> list[Worker]:
        """Workers with a task."""
        return [worker for worker in self.workers if worker.task is not None]

    def start(self) -> Worker:
        """Start one more worker process, with one thread for its tensors."""
        here, there = self._spawn.Pipe()
        self._number += 1
        log = self._context.work / "logs" / f"worker-{self._number}.log"
        process = self._spawn.Process(
            target=serve, args=(there, self._work, self._context, log), daemon=True
        )
        with _environment({name: "1" for name in _THREADS}):
            process.start()
        there.close()
        worker = Worker(process, here)
        self.workers.append(worker)
        return worker

    def answers(self, seconds: float) -> list[tuple[Worker, Answer | Died]]:
        """Return what workers have answered, waiting `seconds` at most for a first one."""
        busy = {worker.pipe: worker for worker in self.busy}
        found: list[tuple[Worker, Answer | Died]] = []
        for pipe in wait(list(busy), seconds):
            worker = busy[pipe]  # type: ignore[index]
            try:
                found.append((worker, worker.pipe.recv()))
            except (EOFError, ConnectionResetError):
                worker.process.join()
                found.append((worker, Died(worker.process.exitcode)))
        return found

    def held(self) -> int:
        """Return the memory that the largest worker holds now, with what it started, in bytes."""
        return max((_held_by(worker.process.pid) for worker in self.workers), default=0)

    def retire(self, worker: Worker) -> None:
        """Let an idle worker end."""
        if worker.process.is_alive() and worker.task is None:
            worker.pipe.send(None)
        self._bury(worker, seconds=10.0)

    def kill(self) -> None:
        """End all workers at once; what they were at is lost, and leaves nothing."""
        for worker in self.workers:
            if worker.process.pid is not None:
                kill_children(worker.process.pid)
            worker.process.kill()
        for worker in list(self.workers):
            self._bury(worker, seconds=10.0)

    def _bury(self, worker: Worker, seconds: float) -> None:
        worker.process.join(seconds)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.pipe.close()
        self.workers.remove(worker)
        if worker.process.pid is not None:
            shutil.rmtree(scratch_folder(self._context.work, worker.process.pid), True)


def _held_by(pid: int | None) -> int:
    try:
        own = psutil.Process(pid)
        processes = [own, *own.children(recursive=True)]
        return sum(int(process.memory_info().rss) for process in processes)
    except psutil.NoSuchProcess:
        return 0


def sweep_scratch(work: Path) -> None:
    """Remove the temporary files of workers that are gone."""
    for folder in (work / "scratch").glob("worker-*"):
        pid = folder.name.removeprefix("worker-")
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    """Set variables for a child: the number of threads counts before its first import."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
