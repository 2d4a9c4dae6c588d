"""Reads a run's folder: facts, task records and outputs, however much of them there is."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

KNOWN_TASKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ingest", ()),
    ("validate", ("ingest",)),
    ("label", ("validate",)),
    ("curriculum", ("label",)),
    ("warm-start-triage", ("validate",)),
    ("warm-start-attending", ("label",)),
    ("triage-rl", ("warm-start-triage",)),
    ("attending-easy", ("curriculum", "warm-start-attending")),
    ("attending-medium", ("attending-easy",)),
    ("attending-hard", ("attending-medium",)),
    ("evaluate", ("triage-rl", "attending-hard")),
    ("gate", ("evaluate",)),
    ("register", ("gate",)),
    ("deploy", ("register",)),
    ("report", ("deploy",)),
)
"""The DAG, for a run that ended before its own was written down."""

REPORT_TASK = "report"
_DONE = {"executed", "cached", "reused"}
_BROKEN = {"failed", "interrupted"}


@dataclass
class RunFolder:
    """One run as it lies on disk. Reading never raises: what went wrong is in `problems`."""

    path: Path
    problems: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read `run.json` and the task records."""
        facts = self.attempt("run.json", lambda: _object(self.path / "run.json"))
        self.facts: dict[str, Any] = facts or {}
        self.records: dict[str, dict[str, Any]] = {}
        for file in sorted((self.path / "tasks").glob("*.json")):
            record = self.attempt(f"tasks/{file.name}", partial(_object, file))
            if record is not None:
                self.records[str(record.get("name", file.stem))] = record

    def attempt(self, part: str, work: Callable[[], T]) -> T | None:
        """Return what `work` returns; after an error None, and a line in `problems`."""
        try:
            return work()
        except Exception as error:
            # A page that shows what there is, and what is missing, beats no page at all.
            message = str(error) or type(error).__name__
            self.problems.append({"part": part, "message": message})
            return None

    def tasks(self) -> list[dict[str, Any]]:
        """Return every task of the DAG in topological order, with its record's facts."""
        listed = self.facts.get("tasks") or [
            {"name": name, "after": list(after)} for name, after in KNOWN_TASKS
        ]
        tasks = []
        for task in listed:
            record = self.records.get(task["name"], {})
            error = record.get("error")
            state = record.get("state", "not_reached")
            tasks.append(
                {
                    "name": task["name"],
                    "after": list(task.get("after", [])),
                    # The page is written by the task `report` itself, while it runs.
                    "state": "executed" if _is_report(task, state) else state,
                    "seconds": record.get("seconds"),
                    "started": record.get("started"),
                    "finished": record.get("finished"),
                    "error": None if not error else {k: error.get(k) for k in _ERROR},
                }
            )
        return tasks

    def state(self) -> str:
        """Return how the run stands: `done`, `failed`, `interrupted` or `running`."""
        states = {t["state"] for t in self.tasks() if t["name"] != REPORT_TASK}
        for broken in ("failed", "interrupted"):
            if broken in states:
                return broken
        if states <= _DONE:
            return "done"
        known = str(self.facts.get("state", "interrupted"))
        # Written by the exit handler: nothing runs any more, so what is not done will not be.
        return "interrupted" if known == "done" or REPORT_TASK in self.records else known

    def failure(self) -> dict[str, Any] | None:
        """Return the first task that broke, with its error."""
        for task in self.tasks():
            if task["state"] in _BROKEN:
                error = task["error"] or dict.fromkeys(_ERROR)
                return {"task": task["name"], "state": task["state"], **error}
        return None

    def result(self, task: str) -> dict[str, Any] | None:
        """Return what the task's library function returned, if it ended well."""
        record = self.records.get(task, {})
        return record.get("result") if record.get("state") in _DONE else None

    def output(self, task: str, name: str) -> Path | None:
        """Return the file or folder `name` among the outputs of `task`, or None."""
        record = self.records.get(task, {})
        if record.get("state") not in _DONE:
            return None
        for value in (record.get("outputs") or {}).values():
            path = self.path / str(value)
            for candidate in (path / name, path if path.name == name else None):
                if candidate is not None and candidate.exists():
                    return candidate
        return None


_ERROR = ("type", "message", "exit_code")


def _is_report(task: dict[str, Any], state: str) -> bool:
    return task["name"] == REPORT_TASK and state in ("running", "not_reached")


def _object(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} holds no JSON object")
    return value
