"""Runs the small pipeline in a process of its own, so that a test can kill it."""

import json
import sys
from pathlib import Path
from typing import Any

from mmedagent.stepplan import StepPlan
from pipelines.local import LocalRun

TASKS = ("first", "left", "right", "end")


class Lines:
    """Keeps and prints what happens, one line an event."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def started(self, task: str, progress: Path) -> None:
        self._say(f"started {task}")

    def ended(self, task: str, state: str, seconds: float, message: str) -> None:
        self._say(f"ended {task} {state} {message}")

    def _say(self, line: str) -> None:
        self.lines.append(line)
        print(line, flush=True)


def run_small(
    home: Path, name: str, do: dict[str, Any], parallel: int = 2
) -> tuple[dict[str, Any], list[str]]:
    """Run the small pipeline; each task does what `do` says under its name."""
    from tests.pipelines.small import small

    run = home / "runs" / name
    run.mkdir(parents=True)
    plans = {
        task: StepPlan(
            task=task, recipe=do.get(task, {}), versions={}, inputs="i", code="c"
        ).as_json()
        for task in TASKS
    }
    lines = Lines()
    local = LocalRun(run, home / "cache", lines, parallel=parallel)
    succeeded = local.execute(small, {"run": str(run), **plans})
    return {"succeeded": succeeded, "interrupted": local.interrupted}, lines.lines


if __name__ == "__main__":
    result, _ = run_small(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
    print(json.dumps(result), flush=True)
