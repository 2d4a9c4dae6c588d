"""`mmedagent run` itself, every step real, on drawn cases with a recipe of a few steps."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmedagent.storage.local import stop_local_store
from pipelines.dag import TASKS
from tests.pipelines.checkout import make_checkout

pytestmark = pytest.mark.slow

COMMAND = "import sys; sys.path.insert(0, ''); from mmedagent.cli.main import main; main()"
SETTINGS = {
    "validation.near_duplicate_bits": 0,
    "validation.max_imbalance": 20,
    "validation.max_answer_share": 1,
    "curriculum.least_per_tier": 0,
    "warm_start.triage.fit.steps": 5,
    "warm_start.attending.fit.steps": 5,
    "training.triage.steps": 2,
    "training.triage.generations": 4,
    "training.triage.prompts_per_step": 8,
    "training.attending.steps.easy": 1,
    "training.attending.steps.medium": 1,
    "training.attending.steps.hard": 1,
    "training.attending.generations": 4,
    "training.attending.prompts_per_step": 8,
    "evaluation.samples": 0,
    "evaluation.votes": 2,
    "evaluation.resamples": 200,
    "gate.resamples": 200,
}
VERDICTS = (0, 10, 11)


class Project:
    """A miniature checkout in which the command line is run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.output = ""

    def run(self, *words: str, serve: bool = False, **settings: Any) -> int:
        chosen = {**SETTINGS, **{key.replace("__", "."): v for key, v in settings.items()}}
        overrides = [part for key, value in chosen.items() for part in ("--set", f"{key}={value}")]
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, "run", "--serve" if serve else "--no-serve"]
            + [*words, *overrides],
            cwd=self.root,
            env={**os.environ, "MMEDAGENT_HOME": str(self.root), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1500,
        )
        self.output = done.stdout
        return done.returncode

    @property
    def latest(self) -> Path:
        return (self.root / "runs" / "latest").resolve()

    def states(self) -> dict[str, str]:
        records = [json.loads(p.read_text()) for p in (self.latest / "tasks").glob("*.json")]
        return {record["name"]: record["state"] for record in records}

    def executed(self) -> set[str]:
        return {name for name, state in self.states().items() if state == "executed"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    root = tmp_path_factory.mktemp("project")
    make_checkout(root)
    yield Project(root)
    stop_local_store(root)


def test_a_run_a_rerun_a_changed_field_and_bad_data(project: Project) -> None:
    """One test, because each part goes on from what the part before left."""
    code = project.run()
    assert code in VERDICTS, project.output
    assert project.executed() == {*(task.name for task in TASKS), "report"}
    assert (project.latest / "report.html").stat().st_size > 10_000
    facts = json.loads((project.latest / "run.json").read_text())
    assert facts["state"] == "done" and facts["exit_code"] == code

    first = project.latest
    assert project.run() == code, project.output
    assert project.latest != first
    assert project.executed() == {"report"}
    assert "dvc" not in project.output

    assert project.run(gate__margin=0.06) in VERDICTS, project.output
    assert project.executed() == {"gate", "register", "deploy", "report"}

    assert project.run(validation__min_side=500) == 13, project.output
    assert "validate" in project.output and "Traceback" not in project.output
    assert project.states()["validate"] == "failed" and "triage-rl" not in project.states()
    assert (project.latest / "report.html").exists()
