"""A run folder as the runner leaves it, made by the real evaluation and gate."""

import json
import math
import random

import pytest

from mmedagent.atomic import write_json
from mmedagent.cases.store import write_cases
from mmedagent.digests import digest_value
from mmedagent.evaluation.evaluate import measure, publish
from mmedagent.gate.decide import decide
from mmedagent.recipes.evaluation import EvaluationRecipe
from mmedagent.recipes.gate import GateRecipe
from mmedagent.report.rundir import KNOWN_TASKS
from tests.mmedagent.evidence import KnownPanel, known_stages, known_system, make_cases

SECONDS = [3.2, 8.4, 21.0, 0.4, 9.5, 14.2, 96.0, 61.0, 55.0, 58.0, 44.0, 2.1, 4.4, 9.0]


def curves(path, stage, steps, start, seed=0):
    """Write curves of the trainer's format: reward rises, entropy falls, one KL is not a number."""
    chance = random.Random(seed)
    lines = []
    for step in range(steps):
        part = step / steps
        lines.append(
            {
                "stage": stage,
                "step": step + 1,
                "reward": start + 0.4 * part + chance.gauss(0, 0.05),
                "reward_std": 0.3,
                "entropy": 0.9 - 0.5 * part + chance.gauss(0, 0.03),
                "kl": float("nan") if step == 3 else 0.02 * part**0.5 + abs(chance.gauss(0, 0.002)),
                "loss": 0.0,
                "zero_variance_share": 0.2 + 0.4 * part + chance.gauss(0, 0.04),
                "accuracy": start + 0.3 * part,
                "format_rate": 1.0,
                "completion_length": 7 + math.sin(step),
                "learning_rate": 3e-4,
                "grad_norm": 0.4,
                "seconds": 0.5,
            }
        )
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n")


def record(run, name, state, number, outputs=(), **facts):
    write_json(
        run / "tasks" / f"{name}.json",
        {
            "schema": 1,
            "name": name,
            "state": state,
            "started": f"2025-01-31T10:{number:02d}:00.000+00:00",
            "finished": f"2025-01-31T10:{number:02d}:40.000+00:00",
            "seconds": SECONDS[number % len(SECONDS)],
            "error": None,
            "outputs": dict(outputs),
            "digests": {},
            "result": {},
            **facts,
        },
    )


def write_run_file(run, **facts):
    write_json(
        run / "run.json",
        {
            "schema": 1,
            "run_id": run.name,
            "recipe_name": "laptop",
            "recipe": {"evaluation": EvaluationRecipe().model_dump(mode="json")},
            "state": "running",
            "exit_code": None,
            "started": "2025-01-31T10:00:00.000+00:00",
            "finished": None,
            "git_revision": "0" * 40,
            "digests": {name: digest_value(name) for name in ("inputs", "data", "recipe", "code")}
            | {"image": "none", "champion": None},
            "tasks": [{"name": name, "after": list(after)} for name, after in KNOWN_TASKS],
            **facts,
        },
    )


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """Return the folder of a run that ended well, made by the real evaluation and gate."""
    run = tmp_path_factory.mktemp("runs") / "20250131T100000Z-1a2b3c4d"
    run.mkdir()
    cases = [*make_cases(150), *make_cases(50, "validation")]
    cases += [*make_cases(80, "train"), *make_cases(40, "panel"), *make_cases(20, "warm_start")]
    write_cases(run / "data", "test", cases)
    held_out = [case for case in cases if case.pool in ("test", "validation")]
    systems = {
        "start": known_system(held_out, "start", 0.62, 0.55),
        "challenger": known_system(held_out, "challenger", 0.9, 0.8),
    }
    recipe = EvaluationRecipe(samples=2, resamples=1000)
    rows = measure(
        held_out,
        systems,
        KnownPanel(held_out),
        recipe,
        run / "work",
        {},
        known_stages(held_out),
    )
    publish(rows, recipe, run / "evaluation")
    decide(run / "evaluation", GateRecipe(resamples=1000), run / "verdict")
    (run / "validation").mkdir()
    (run / "validation/index.html").write_text("<p>checks</p>")
    outputs = {
        "ingest": {"cases": str(run / "data")},
        "evaluate": {"evaluation": "evaluation"},
        "validate": {"validation": "validation"},
        "gate": {"verdict": str(run / "verdict")},
    }
    for number, (task, stage, steps) in enumerate(
        (
            ("triage-rl", "triage", 120),
            ("attending-easy", "easy", 50),
            ("attending-medium", "medium", 50),
            ("attending-hard", "hard", 60),
        )
    ):
        folder = run / f"model-{task}"
        folder.mkdir()
        curves(folder / "curves.jsonl", stage, steps, 0.7 - 0.1 * number, number)
        outputs[task] = {"model": str(folder)}
    write_run_file(run)
    for number, (task, _) in enumerate(KNOWN_TASKS[:-1]):
        state = "cached" if task in ("ingest", "validate") else "executed"
        record(run, task, state, number, outputs.get(task, {}))
    record(run, "report", "running", 15, finished=None, seconds=None)
    return run
