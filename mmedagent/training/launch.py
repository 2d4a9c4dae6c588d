"""One training in several processes: torchrun starts them, each goes through the same call.

The step's process writes the job aside, starts `torchrun -m mmedagent.training.rank`, passes a
request to stop on, and takes facts or the error from what the ranks left. Ranks end when it ends.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from mmedagent import errors
from mmedagent.atomic import write_json
from mmedagent.errors import MMedAgentError, UsageError
from mmedagent.interrupt import StopRequest, stop_requests
from mmedagent.recipes.training import AttendingRecipe, GrpoRecipe, TriageRecipe
from mmedagent.training.reward import Judge
from mmedagent.training.tasks import Task, read_tasks, write_tasks

FOLDER = "launch"
"""In a step's work folder: the job, and what its ranks left."""
ALIVE = "alive.lock"
_JOB, _FACTS = "job.json", "facts.json"
_RECIPES: dict[str, type[GrpoRecipe]] = {
    kind.__name__: kind for kind in (GrpoRecipe, TriageRecipe, AttendingRecipe)
}
_MOST_SECONDS_TO_STOP = 24 * 3600
"""Whoever asked to stop decides how long that may take; torchrun's own limit is 30 seconds, in
which a large model's checkpoint cannot be written."""


@dataclass(frozen=True)
class Job:
    """The arguments of `grpo.train`."""

    tasks: Sequence[Task]
    judge: Judge
    start: Path
    recipe: GrpoRecipe
    steps: int
    stage: str
    out: Path
    work: Path
    reference: Path | None


def launch(job: Job) -> dict[str, Any]:
    """Run `job` in `job.recipe.processes` processes; return the facts that the first one reports.

    Raises what a rank raised: `InterruptedWithCheckpoint` when asked to stop, `MMedAgentError` for
    an error of another kind, whose trace is in the log.
    """
    folder = job.work.absolute() / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    write_job(folder, job)
    with _alive(folder), stop_requests() as request:
        _run(_command(folder, job.recipe.processes), request)
        return _outcome(folder, job, request)


def write_job(folder: Path, job: Job) -> None:
    """Write everything that a rank needs into `folder`."""
    write_tasks(folder / "tasks", job.tasks)
    if not _is_ours(job.judge):
        raise UsageError(
            f"the judge {job.judge!r} is no function of a module: ranks cannot find it"
        )
    paths = {name: getattr(job, name) for name in ("start", "out", "work", "reference")}
    record = {
        "judge": [job.judge.__module__, job.judge.__qualname__],
        "recipe": [type(job.recipe).__name__, job.recipe.model_dump(mode="json")],
        "steps": job.steps,
        "stage": job.stage,
        **{name: path and os.fspath(path.absolute()) for name, path in paths.items()},
    }
    write_json(folder / _JOB, record)


def read_job(folder: Path) -> Job:
    """Return what `write_job` wrote."""
    record = json.loads((folder / _JOB).read_bytes())
    module, name = record.pop("judge")
    kind, values = record.pop("recipe")
    judge: Judge = getattr(import_module(module), name)
    for path in ("start", "out", "work", "reference"):
        record[path] = Path(record[path]) if record[path] else None
    recipe = _RECIPES[kind].model_validate(values)
    return Job(tasks=read_tasks(folder / "tasks"), judge=judge, recipe=recipe, **record)


def report_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Leave the facts of a training that ended well; the first rank does."""
    write_json(folder / _FACTS, facts)


def report_error(folder: Path, rank: int, error: BaseException) -> None:
    """Leave a rank's error for the process that launched it."""
    record = {"type": type(error).__name__, "message": str(error), "time": time.time()}
    write_json(folder / f"error-{rank}.json", record)


def _is_ours(judge: Callable[..., Any]) -> bool:
    module = sys.modules.get(judge.__module__)
    return judge.__module__ != "__main__" and getattr(module, judge.__qualname__, None) is judge


@contextmanager
def _alive(folder: Path) -> Iterator[None]:
    """Hold a lock that the system releases when this process ends, however it ends."""
    with (folder / ALIVE).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _command(folder: Path, processes: int) -> list[str]:
    torchrun = [sys.executable, "-m", "torch.distributed.run"]
    return [
        *torchrun,
        "--standalone",  # one machine; the ranks meet at a free port of its loopback
        "--local-addr=127.0.0.1",
        f"--nproc-per-node={processes}",
        "--max-restarts=0",
        "--monitor-interval=0.2",
        f"--shutdown-timeout={_MOST_SECONDS_TO_STOP}",
        "-m",
        "mmedagent.training.rank",
        os.fspath(folder),
    ]


def _run(command: list[str], request: StopRequest) -> None:
    """Run torchrun to its end; hand a request to stop on to the ranks, once."""
    # In a session of its own: a signal to our group must reach it once, through us.
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    told = False
    try:
        while process.poll() is None:
            if request.asked and not told:
                process.send_signal(signal.SIGTERM)
                told = True
            time.sleep(0.1)
    finally:
        if process.poll() is None:
            process.kill()  # ranks notice that it is gone
            process.wait()


def _outcome(folder: Path, job: Job, request: StopRequest) -> dict[str, Any]:
    """Return the facts that were left, or raise the first error that was."""
    left = [(path, json.loads(path.read_bytes())) for path in sorted(folder.glob("error-*.json"))]
    if left:
        # An error of ours says what is wrong; the others' are that they lost a partner.
        path, first = min(left, key=lambda entry: (_kind(entry[1]) is None, entry[1]["time"]))
        kind = _kind(first)
        if kind is not None:
            raise kind(first["message"])
        rank = path.stem.removeprefix("error-")
        raise MMedAgentError(
            f"{job.stage}: rank {rank} of {job.recipe.processes} failed, see its trace in the log:"
            f" {first['type']}: {first['message']}"
        )
    if (folder / _FACTS).exists():
        facts: dict[str, Any] = json.loads((folder / _FACTS).read_bytes())
        shutil.rmtree(folder, ignore_errors=True)
        return facts
    if request.asked:
        raise SystemExit(128 + signal.SIGTERM)  # before training began: there is nothing to keep
    raise MMedAgentError(
        f"{job.stage}: the training processes ended without a word, as they do when the system"
        " kills one for want of memory; see the log"
    )


def _kind(record: dict[str, Any]) -> type[MMedAgentError] | None:
    kind = getattr(errors, record["type"], None)
    return kind if isinstance(kind, type) and issubclass(kind, MMedAgentError) else None
