"""The records of tasks whose own process could not write one: cached, or dead without a word."""

import json
import signal
from pathlib import Path
from typing import Any

from mmedagent.records import now, record_path, write_record

__all__ = ["cached", "now", "read", "settle"]

_LOG_LINES = 5
_GIVEN = ("schema", "name", "state")


def read(run: Path, task: str) -> dict[str, Any] | None:
    """Return the record of `task`, or None when there is none (or none that can be read)."""
    try:
        record = json.loads(record_path(run, task).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def cached(run: Path, task: str, outputs: dict[str, Any], started: str) -> None:
    """Write that `task` was not executed: KFP's cache had its outputs."""
    artifacts = {name: value for name, value in outputs.items() if hasattr(value, "uri")}
    write_record(
        run,
        task,
        "cached",
        started=started,
        finished=now(),
        seconds=0.0,
        outputs={name: value.uri for name, value in artifacts.items()},
        digests={name: value.metadata.get("digest", "") for name, value in artifacts.items()},
        result=_earlier_result(run, artifacts),
    )


def settle(
    run: Path, task: str, succeeded: bool, code: int, started: str, seconds: float
) -> tuple[str, str]:
    """Return the state and the error message of a task whose process has ended.

    Completes the record, and writes it when the process did not: killed, or never came as far.
    """
    record = read(run, task) or {"state": "running"}
    # The time of the whole process: a step's own record starts when its imports are done.
    record |= {"started": started, "finished": now(), "seconds": round(seconds, 3)}
    if succeeded:
        if record["state"] == "running":  # a task that records nothing itself: the exit handler
            record["state"] = "executed"
    elif record["state"] not in ("failed", "interrupted"):
        stopped = code in (-signal.SIGTERM, 128 + signal.SIGTERM)
        message = "stopped" if stopped else _last_words(run, task, code)
        record["state"] = "interrupted" if stopped else "failed"
        code = code if 0 < code < 128 else 1
        record["error"] = {"type": "ProcessDied", "message": message, "exit_code": code}
    facts = {name: value for name, value in record.items() if name not in _GIVEN}
    write_record(run, task, record["state"], **facts)
    return record["state"], "" if succeeded else str((record["error"] or {}).get("message", ""))


def _earlier_result(run: Path, artifacts: dict[str, Any]) -> dict[str, Any]:
    """Return the result in the record of the run that made `artifacts`, if it is still there."""
    uris = {value.uri for value in artifacts.values()}
    for uri in uris:
        for folder in Path(uri).parents:
            if folder.parent == run.parent:
                for path in (folder / "tasks").glob("*.json"):
                    record = read(folder, path.stem) or {}
                    if uris & set((record.get("outputs") or {}).values()):
                        return dict(record.get("result") or {})
    return {}


def _last_words(run: Path, task: str, code: int) -> str:
    log = run / "logs" / f"{task}.log"
    number = -code if code < 0 else code - 128
    if number == signal.SIGKILL:
        return f"killed (SIGKILL): out of memory, or by hand; see {log}"
    try:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    return "\n".join([f"ended with exit code {code} (log: {log})", *lines[-_LOG_LINES:]])
