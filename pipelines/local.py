"""Runs the pipeline function on this machine through `kfp.local.SubprocessRunner`.

KFP 2.17 (pinned) runs a DAG's tasks one after another, prints their output in between, and tells
nobody when a task starts. So, while a run lasts, four of its seams are replaced: what runs one
task (to record it), what starts its process (a log file and a process group of its own, so that it
can be stopped), what walks a DAG's body (independent tasks side by side), and its console chatter.
"""

import contextlib
import importlib
import logging
import os
import signal
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psutil

from mmedagent.errors import MMedAgentError
from mmedagent.progress import VARIABLE as PROGRESS_VARIABLE
from mmedagent.records import RUN_VARIABLE
from mmedagent.workdir import LIFELINE_VARIABLE
from pipelines import taskrecords
from pipelines.schedule import Body, walk_concurrently

GRACE_SECONDS = 60.0
"""How long a stopped task may take to write its checkpoint."""


class Observer(Protocol):
    """Who is told of the tasks, from several threads."""

    def started(self, task: str, progress: Path) -> None:
        """Hear that the process of `task` starts; it tells its progress in that file."""

    def ended(self, task: str, state: str, seconds: float, message: str) -> None:
        """Hear how `task` ended; `message` is empty unless it failed."""


@dataclass
class LocalRun:
    """One run on this machine: its folder, who watches, how many tasks side by side."""

    folder: Path
    cache: Path
    observer: Observer
    parallel: int = 2
    before_exit: Callable[[], None] = lambda: None
    """Called when all other tasks have ended and the exit task is about to start."""
    failures: list[str] = field(default_factory=list)
    """The tasks that failed by themselves, first one first."""
    interrupted: bool = False

    def __post_init__(self) -> None:
        self._current = threading.local()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._stopping = False
        self._kill_at = 0.0
        self._lifeline = os.pipe()

    def execute(self, pipeline: Callable[..., Any], arguments: dict[str, str]) -> bool:
        """Run `pipeline`; return whether all its tasks succeeded. The exit task always runs."""
        from kfp import local

        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="mmedagent-") as scratch, self._adapted():
            self._scratch = scratch
            workspace = str(self.folder / "workspace")
            local.init(
                runner=local.SubprocessRunner(use_venv=False),
                pipeline_root=str(self.folder / "artifacts"),
                workspace_root=workspace,
                enable_caching=True,
                cache_root=str(self.cache),
            )
            with self._signals():
                try:
                    pipeline(**arguments)
                except RuntimeError as error:
                    if "finished with status" not in str(error):
                        raise
                    return False
        return True

    # What KFP's seams are replaced by.

    def _execute_task(self, original: Callable[..., Any], **call: Any) -> Any:
        name = call["task_spec"].task_info.name or call["task_name"]
        self._current.name, self._current.launched = name, False
        if _is_exit_task(call["task_spec"]):
            self.before_exit()
        began, started = time.monotonic(), taskrecords.now()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs, status = original(**call)
        seconds = time.monotonic() - began
        succeeded = status.name == "SUCCESS"
        if not self._current.launched and succeeded:
            taskrecords.cached(self.folder, name, outputs, started)
            self.observer.ended(name, "cached", seconds, "")
            return outputs, status
        state, message = taskrecords.settle(
            self.folder, name, succeeded, self._current.code, started, seconds
        )
        if state == "failed":
            self.failures.append(name)
            self.stop_tasks()
        self.observer.ended(name, state, seconds, message)
        return outputs, status

    def _launch(self, full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
        name = self._current.name
        self._current.launched = True
        progress = self.folder / "logs" / f"{name}.progress"
        self.observer.started(name, progress)
        environment = {
            **os.environ,
            **(env_vars or {}),
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": self._scratch,
            RUN_VARIABLE: str(self.folder),
            PROGRESS_VARIABLE: str(progress),
            LIFELINE_VARIABLE: str(self._lifeline[0]),
        }
        with (self.folder / "logs" / f"{name}.log").open("ab") as log, self._lock:
            process = subprocess.Popen(
                full_command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                pass_fds=(self._lifeline[0],),
            )
            self._processes[name] = process
        try:
            self._current.code = process.wait()
        finally:
            self._signal_group(process, signal.SIGKILL)  # whatever the task left behind
            with self._lock:
                del self._processes[name]
        return int(self._current.code)

    def _walk(self, original: Callable[..., Any], **call: Any) -> Any:
        if "parent_io_store" not in call:  # the root: the exit handler's body, then the exit task
            return original(**call)
        return walk_concurrently(
            Body(**call), self.parallel, stopped=lambda: self._stopping, tick=self._insist
        )

    # Stopping.

    def stop_tasks(self) -> None:
        """Start no further task of the body, and ask those that run to end (SIGTERM)."""
        if not self._stopping:
            self._stopping = True
            self._kill_at = time.monotonic() + GRACE_SECONDS
            for process in list(self._processes.values()):
                self._ask_to_end(process)

    @staticmethod
    def _ask_to_end(process: "subprocess.Popen[bytes]") -> None:
        """Send SIGTERM to the task itself, not to the shell that KFP starts it with.

        The shell would die at once, and its end be taken for the end of a task that is still
        writing its checkpoint. What the task has started is the task's to stop.
        """
        try:
            children = psutil.Process(process.pid).children()
            for child in children:
                child.terminate()
        except psutil.NoSuchProcess:
            return
        if not children:
            process.terminate()

    def _insist(self) -> None:
        if self._stopping and time.monotonic() > self._kill_at:
            for process in list(self._processes.values()):
                self._signal_group(process, signal.SIGKILL)

    def _on_signal(self, _number: int, _frame: Any) -> None:
        if self.interrupted:
            self._kill_at = 0.0
            for process in list(self._processes.values()):
                self._signal_group(process, signal.SIGKILL)
        self.interrupted = True
        self.stop_tasks()

    @staticmethod
    def _signal_group(process: "subprocess.Popen[bytes]", number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._on_signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def _adapted(self) -> Iterator[None]:
        """Replace KFP's seams, and give them back."""
        quiet: Callable[..., Any] = lambda *_a, **_k: contextlib.nullcontext()  # noqa: E731
        seams: list[tuple[str, str, Callable[[Any], Any]]] = [
            ("orchestrator.task_executor", "execute_single_task", self._wrap_task),
            ("subprocess_task_handler", "run_local_subprocess", lambda _: self._launch),
            (
                "orchestrator.enhanced_dag_orchestrator",
                "run_enhanced_dag",
                self._wrap_dag,
            ),
            ("logging_utils", "local_logger_context", lambda _: quiet),
            ("logging_utils", "indented_print", lambda _: quiet),
            ("logging_utils", "print_horizontal_line", lambda _: quiet),
        ]
        level = logging.getLogger().level
        with contextlib.ExitStack() as stack:
            for module_name, name, replace in seams:
                module = importlib.import_module(f"kfp.local.{module_name}")
                original = getattr(module, name, None)
                if original is None:
                    raise MMedAgentError(f"kfp.local has no {module_name}.{name}: not 2.17")
                setattr(module, name, replace(original))
                stack.callback(setattr, module, name, original)
            stack.callback(logging.getLogger().setLevel, level)
            logging.getLogger().setLevel(logging.CRITICAL)
            yield

    def _wrap_task(self, original: Callable[..., Any]) -> Callable[..., Any]:
        return lambda **call: self._execute_task(original, **call)

    def _wrap_dag(self, original: Callable[..., Any]) -> Callable[..., Any]:
        return lambda **call: self._walk(original, **call)


def _is_exit_task(spec: Any) -> bool:
    return any(
        value.WhichOneof("kind") == "task_final_status" for value in spec.inputs.parameters.values()
    )
