"""How a step of the DAG runs: in its own locked folder, resumable, published when whole.

A step works in `$MMEDAGENT_WORK/<step>/<digest of its plan>/`. A step that was killed finds its
checkpoints there again; one that finished left `done.json` beside its `out`, and is not repeated.
The component shells call `run_step`; they know KFP, this module does not.
"""

import errno
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from filelock import FileLock
from pydantic import BaseModel, ValidationError

from mmedagent.atomic import write_json
from mmedagent.digests import digest_file, digest_folder
from mmedagent.errors import ExitCode, InterruptedWithCheckpoint, MMedAgentError, UsageError
from mmedagent.records import now, run_folder, write_record
from mmedagent.stepplan import StepPlan

if TYPE_CHECKING:
    from mmedagent.storage.store import ObjectStore

WORK_VARIABLE = "MMEDAGENT_WORK"
LIFELINE_VARIABLE = "MMEDAGENT_LIFELINE"
"""The descriptor of a pipe that closes when the runner is gone."""
DONE = "done.json"
_SIGTERM_EXIT = 128 + signal.SIGTERM
SectionT = TypeVar("SectionT", bound=BaseModel)


class Artifact(Protocol):
    """What this module needs of a KFP artifact: where it lies, and room for facts about it."""

    path: str
    metadata: dict[str, Any]


def work_folder() -> Path:
    """Return the folder of all steps' work: `$MMEDAGENT_WORK`, else `work`, as an absolute path."""
    return Path(os.environ.get(WORK_VARIABLE, "work")).absolute()


@dataclass(frozen=True)
class Step:
    """One step at work: what it was planned to do, and where."""

    plan: StepPlan
    folder: Path

    @property
    def out(self) -> Path:
        """Where the step publishes its result, as a whole folder (`atomic.new_folder`)."""
        return self.folder / "out"

    @property
    def work(self) -> Path:
        """A private folder that survives a kill and goes when the step is done: checkpoints."""
        path = self.folder / "work"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def recipe(self, name: str, section: type[SectionT]) -> SectionT:
        """Return the planned recipe section called `name`.

        Raises:
            UsageError: the plan has no such section, or not one that `section` accepts.
        """
        if name not in self.plan.recipe:
            raise UsageError(f"{self.plan.task}: the plan has no recipe section {name!r}")
        try:
            return section.model_validate(self.plan.recipe[name])
        except ValidationError as error:
            raise UsageError(f"{self.plan.task}: recipe section {name}: {error}") from None

    def store(self) -> "ObjectStore":
        """Open the object store that the environment names."""
        from mmedagent.storage.store import open_store

        return open_store()

    def fetched(self, name: str) -> Path:
        """Return the folder version `name` (`base`, `panel`), fetched once for all steps."""
        from mmedagent.storage.versions import fetch_folder

        version = self.plan.versions[name]
        cache = work_folder() / "fetched"
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{version}.lock"):
            return fetch_folder(self.store(), version, cache / version)

    def fetched_if_any(self, name: str) -> Path | None:
        """Return `fetched(name)`, or None where the plan says that there is no such version."""
        return None if self.plan.versions[name] == "none" else self.fetched(name)


def run_step(plan: str, outputs: Mapping[str, Artifact], call: Callable[[Step], Any]) -> None:
    """Run one step as planned and publish its outputs; the one call of every component shell.

    Args:
        plan: the planned task as JSON (`StepPlan`): recipe sections, versions, digests.
        outputs: the step's artifacts by their place in its result: `.` the whole folder, else a
            file or folder in it. Each gets its content digest as metadata.
        call: does the work: publishes `step.out` and returns facts for the record (a dict, or
            something with a `to_dict`).

    A step that ended before under the same plan is not repeated; its outputs are published again.
    Ends the process with the error's exit code after one clear line on standard error.
    """
    step_plan = StepPlan.parse(plan)
    _obey_the_runner()
    record = _Recorder(step_plan)
    try:
        record.running()
        done = _once(step_plan, call)
        paths, digests = _publish(done.folder, outputs)
        record.ended("executed" if done.fresh else "cached", paths, digests, done.result)
    except BaseException as error:
        sys.exit(record.failed(error))


@dataclass(frozen=True)
class _Done:
    folder: Path
    result: dict[str, Any]
    fresh: bool


def _once(plan: StepPlan, call: Callable[[Step], Any]) -> _Done:
    """Do the work of `plan` unless it was done before; hold its folder's lock meanwhile."""
    folder = work_folder() / plan.task / plan.digest[:32]
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        step = Step(plan, folder)
        done = _read_done(step)
        if done is not None:
            return done
        for rest in [*folder.glob(".*.aside"), *folder.glob(".*.old")]:
            shutil.rmtree(rest, ignore_errors=True)
        began = time.monotonic()
        result = _plain(call(step))
        if not step.out.is_dir():
            raise MMedAgentError(f"{plan.task} ended without publishing {step.out}")
        facts = {"result": result, "digest": digest_folder(step.out), "finished": now()}
        write_json(folder / DONE, {**facts, "seconds": round(time.monotonic() - began, 3)})
        write_json(folder / "plan.json", plan.as_dict())
        shutil.rmtree(step.work, ignore_errors=True)
        return _Done(step.out, result, fresh=True)


def _plain(result: Any) -> dict[str, Any]:
    return dict(result.to_dict() if hasattr(result, "to_dict") else result)


def _read_done(step: Step) -> _Done | None:
    """Return what was done before, unless it is missing or no longer what was published."""
    try:
        marker = json.loads((step.folder / DONE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not step.out.is_dir() or digest_folder(step.out) != marker.get("digest"):
        return None
    return _Done(step.out, marker["result"], fresh=False)


def _publish(out: Path, outputs: Mapping[str, Artifact]) -> tuple[dict[str, str], dict[str, str]]:
    """Copy the whole result to where KFP expects it; return the outputs' paths and digests."""
    paths: dict[str, str] = {}
    digests: dict[str, str] = {}
    for place, artifact in outputs.items():
        source, target = out / place, Path(artifact.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
            digest = digest_folder(target)
        else:
            shutil.copyfile(source, target)
            digest = digest_file(target)
        artifact.metadata["digest"] = digest
        name = getattr(artifact, "name", "") or place
        paths[name], digests[name] = str(target), digest
    return paths, digests


class _Recorder:
    """Writes the task's record as its state changes."""

    def __init__(self, plan: StepPlan) -> None:
        self._task = plan.task
        self._run = run_folder()
        self._started = now()
        self._began = time.monotonic()

    def running(self) -> None:
        write_record(self._run, self._task, "running", started=self._started)

    def ended(
        self, state: Any, paths: dict[str, str], digests: dict[str, str], result: dict[str, Any]
    ) -> None:
        self._write(state, outputs=paths, digests=digests, result=result)

    def failed(self, error: BaseException) -> int:
        """Say what went wrong, once and clearly, and return the exit code it stands for."""
        code, message = explain(error)
        interrupted = isinstance(error, InterruptedWithCheckpoint | KeyboardInterrupt) or (
            isinstance(error, SystemExit) and code == _SIGTERM_EXIT
        )
        if not isinstance(error, MMedAgentError) and not interrupted:
            traceback.print_exc()
        print(f"{self._task}: {message}", file=sys.stderr, flush=True)
        facts = {"type": type(error).__name__, "message": message, "exit_code": code}
        try:
            self._write("interrupted" if interrupted else "failed", error=facts)
        except OSError as second:  # a full disk: the runner writes the record in our place
            print(f"{self._task}: no record could be written: {second}", file=sys.stderr)
        return code

    def _write(self, state: Any, **facts: Any) -> None:
        seconds = round(time.monotonic() - self._began, 3)
        times = {"started": self._started, "finished": now(), "seconds": seconds}
        write_record(self._run, self._task, state, **times, **facts)


def explain(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the one message that stand for `error`."""
    if isinstance(error, MMedAgentError):
        return int(error.exit_code), str(error)
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(ExitCode.CRASH)
        return code, "stopped" if code == _SIGTERM_EXIT else f"ended with {error.code}"
    if isinstance(error, KeyboardInterrupt):
        return _SIGTERM_EXIT, "stopped"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        where = f" at {error.filename}" if error.filename else ""
        return int(ExitCode.CRASH), (
            f"no space left on the disk{where}; make room and run again: finished steps are kept"
        )
    return int(ExitCode.CRASH), f"{type(error).__name__}: {error}"


def _obey_the_runner() -> None:
    """End in order on SIGTERM, and when the runner dies, even by SIGKILL."""
    signal.signal(signal.SIGTERM, _stop)
    lifeline = os.environ.get(LIFELINE_VARIABLE)
    if lifeline:
        threading.Thread(target=_watch, args=(int(lifeline),), daemon=True).start()


def _watch(lifeline: int) -> None:
    """Wait for the end of the pipe whose other end only the runner holds."""
    while os.read(lifeline, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(_SIGTERM_EXIT)
