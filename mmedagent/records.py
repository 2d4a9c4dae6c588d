"""What is written of every task of a run, for the report: `runs/<id>/tasks/<task>.json`.

The task's own process writes its record (it knows the result and the error); the runner writes the
record of a task that was cached or whose process died without a word. Without `$MMEDAGENT_RUN`
(a test, a pod without a run folder) nothing is written.
"""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from mmedagent.atomic import write_json

RUN_VARIABLE = "MMEDAGENT_RUN"
"""Names the run's folder in the environment: never a task argument, which would defeat caching."""

State = Literal["running", "executed", "cached", "reused", "failed", "interrupted", "not_reached"]


def run_folder() -> Path | None:
    """Return the folder of the run that this process works for, if there is one."""
    name = os.environ.get(RUN_VARIABLE)
    return Path(name) if name else None


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def record_path(run: Path, task: str) -> Path:
    """Return where the record of `task` lies."""
    return run / "tasks" / f"{task}.json"


def write_record(run: Path | None, task: str, state: State, **facts: Any) -> None:
    """Write the record of `task`: its state and whatever is known of it (see `docs/pipeline.md`).

    `facts`: started, finished (ISO 8601), seconds, error {type, message, exit_code}, outputs
    {name: path}, digests {name: sha256}, result (what the library function returned).
    """
    if run is None:
        return
    record: dict[str, Any] = {
        "schema": 1,
        "name": task,
        "state": state,
        "started": None,
        "finished": None,
        "seconds": None,
        "error": None,
        "outputs": {},
        "digests": {},
        "result": {},
    }
    write_json(record_path(run, task), {**record, **facts})
