"""A worker process of the study: imports the trainer once, then works on task after task.

It never writes a cell: it hands the text to the runner, which is the only writer, and keeps the
cell's lock until the runner has said that the file is there. So a killed worker leaves nothing.
"""

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from mmedagent.digests import digest_value
from mmedagent.errors import MMedAgentError
from mmedagent.study.agenda import Task
from mmedagent.study.context import Context, Row
from mmedagent.study.folder import layout
from mmedagent.study.memory import peak_bytes
from mmedagent.study.schema import Cell, Shared


@dataclass(frozen=True)
class Work:
    """The two functions that do the work; named so that a worker process can import them."""

    prepare: Callable[[int, Context], Shared]
    run: Callable[[Row, int, Context], Cell]


@dataclass(frozen=True)
class Done:
    """A task's result, as the text of its file."""

    text: str
    seconds: float
    peak: int
    """Most bytes of memory that the worker has held."""


@dataclass(frozen=True)
class Failed:
    """A task that raised."""

    message: str
    trace: str
    seconds: float
    peak: int


@dataclass(frozen=True)
class Busy:
    """Another process works on that task."""


def prepare_seed(seed: int, context: Context) -> Shared:
    """Do what the cells of a seed share; imports the trainer."""
    from mmedagent.study.shared import prepare_seed as prepare

    return prepare(seed, context)


def run_cell(row: Row, seed: int, context: Context) -> Cell:
    """Train and measure one cell; imports the trainer."""
    from mmedagent.study.cell import run_cell as run

    return run(row, seed, context)


WORK = Work(prepare_seed, run_cell)
"""The real work; a test hands the runner a cheap one."""


def serve(connection: Connection, work: Work, context: Context, log: Path) -> None:
    """Do the tasks that arrive until none does: the main function of a worker process.

    Whatever libraries print goes to `log`. Ends when the runner ends, however that happens.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the runner, which kills us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_runner, daemon=True).start()
    _print_to(log)
    scratch = scratch_folder(context.work, os.getpid())
    scratch.mkdir(parents=True, exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
    while (task := connection.recv()) is not None:
        lock = FileLock(_lock_path(context, task))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            connection.send(Busy())
            continue
        with lock:
            connection.send(_do(task, work, context))
            connection.recv()  # the runner has written the file, or has no use for it


def scratch_folder(work: Path, pid: int) -> Path:
    """Return the folder of a worker's temporary files, which goes when the worker has ended."""
    return work / "scratch" / f"worker-{pid}"


def kill_children(pid: int) -> None:
    """End what a process started: a panel that it serves to itself, for one."""
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def _do(task: Task, work: Work, context: Context) -> Done | Failed:
    began = time.monotonic()
    print(f"== {task.name}", flush=True)
    try:
        if task.row is None:
            value: Shared | Cell = work.prepare(task.seed, context)
        else:
            value = work.run(task.row, task.seed, context)
        return Done(layout(value), time.monotonic() - began, peak_bytes())
    except Exception as error:
        said = (
            str(error) if isinstance(error, MMedAgentError) else f"{type(error).__name__}: {error}"
        )
        trace = traceback.format_exc()
        print(trace, flush=True)
        return Failed(said, trace, time.monotonic() - began, peak_bytes())


def _lock_path(context: Context, task: Task) -> Path:
    """Return the lock of a task: of its file, whatever study folder it is for."""
    folder = context.work / "locks" / digest_value(str(context.out))[:8]
    if task.row is None:  # the work folder is shared by all studies of these digests
        folder = context.work / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{task.name.replace('/', '.')}.lock"


def _end_with_runner() -> None:
    """End at once when the runner is gone, even by SIGKILL: nobody would take the result."""
    runner = parent_process()
    if runner is not None:
        runner.join()
        kill_children(os.getpid())
        os._exit(1)


def _print_to(log: Path) -> None:
    """Send both outputs, those of C libraries too, to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
