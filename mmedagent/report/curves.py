"""Training curves: the steps that the trainers wrote beside each model."""

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

from mmedagent.report.rundir import RunFolder

TRAININGS = (
    ("triage-rl", "triage", ""),
    ("attending-easy", "attending", "easy"),
    ("attending-medium", "attending", "medium"),
    ("attending-hard", "attending", "hard"),
)
CHARTS = (
    ("reward", "Reward"),
    ("entropy", "Entropy (nats a token)"),
    ("kl", "KL to the reference"),
    ("zero_variance_share", "Groups without variance"),
)


def read_curves(run: RunFolder) -> list[dict[str, Any]]:
    """Return one entry a training that left curves: `{task, agent, stage, series}`.

    `series` maps each recorded quantity to one value an optimiser step, None where it was not a
    finite number.
    """
    found = []
    for task, agent, stage in TRAININGS:
        path = run.output(task, "curves.jsonl")
        if path is None:
            continue
        series = run.attempt(f"curves of {task}", partial(_read, path))
        if series:
            found.append({"task": task, "agent": agent, "stage": stage, "series": series})
    return found


def _read(path: Path) -> dict[str, list[float | None]]:
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    names = dict.fromkeys(name for line in lines for name in line if name != "stage")
    return {name: [_finite(line.get(name)) for line in lines] for name in names}


def _finite(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and math.isfinite(value) else None
