"""The compiled pipeline: the same bytes each time, the DAG's shape, and nothing of this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmedagent.errors import UsageError
from mmedagent.recipes.named import RECIPES
from mmedagent.stepplan import StepPlan
from pipelines import figure
from pipelines.compile import compile_pipeline, pipeline_yaml
from pipelines.dag import BY_NAME, EXIT_TASK, TASKS
from pipelines.plan import Plan, Versions, make_plan

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).with_name("golden_shape.json")


@pytest.fixture(scope="module")
def plan() -> Plan:
    versions = Versions(data="d" * 32, base="b" * 32, panel="e" * 32)
    return make_plan(ROOT, RECIPES["laptop"](), versions)


@pytest.fixture(scope="module")
def pipeline(plan: Plan) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(pipeline_yaml(plan))
    return loaded


def tasks_of(pipeline: dict[str, Any]) -> dict[str, Any]:
    (body,) = (c for c in pipeline["components"].values() if "dag" in c)
    named = {task["taskInfo"]["name"]: task for task in body["dag"]["tasks"].values()}
    return named


def names(pipeline: dict[str, Any]) -> dict[str, str]:
    """KFP's task names -> ours."""
    (body,) = (c for c in pipeline["components"].values() if "dag" in c)
    return {kfp: task["taskInfo"]["name"] for kfp, task in body["dag"]["tasks"].items()}


def shape(pipeline: dict[str, Any]) -> dict[str, Any]:
    """What a reader of the DAG cares for: tasks, what they wait for, their artifacts' types."""
    found = {}
    for name, task in tasks_of(pipeline).items():
        component = pipeline["components"][task["componentRef"]["name"]]
        outputs = component["outputDefinitions"]["artifacts"]
        found[name] = {
            "after": sorted(names(pipeline)[dep] for dep in task.get("dependentTasks", [])),
            "outputs": {key: out["artifactType"]["schemaTitle"] for key, out in outputs.items()},
            "cached": task["cachingOptions"].get("enableCache", False),
        }
    return found


def test_two_processes_compile_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text(
        yaml.safe_dump(
            {
                "stages": {
                    stage: {"outs": [{"path": path, "md5": f"{letter * 32}.dir"}]}
                    for stage, path, letter in (
                        ("starter", "data/starter", "d"),
                        ("base", "models/base", "b"),
                        ("panel", "models/panel", "e"),
                    )
                }
            }
        )
    )
    for name in ("mmedagent", "components", "pipelines", "requirements.lock"):
        (tmp_path / name).symlink_to(ROOT / name)
    outputs = []
    for seed in ("1", "2"):
        output = tmp_path / f"{seed}.yaml"
        command = [sys.executable, "-m", "tests.pipelines.compile_once", output]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=120)
        outputs.append(output.read_bytes())
    assert outputs[0] == outputs[1]
    assert str(ROOT).encode() not in outputs[0]


def test_the_shape_is_the_recorded_one(pipeline: dict[str, Any]) -> None:
    assert shape(pipeline) == json.loads(GOLDEN.read_text())


def test_kfp_is_wired_as_the_table_says(pipeline: dict[str, Any]) -> None:
    tasks = tasks_of(pipeline)
    assert set(tasks) == set(BY_NAME)
    for task in TASKS:
        spec = tasks[task.name]
        reads = {
            names(pipeline)[value["taskOutputArtifact"]["producerTask"]]
            for value in spec["inputs"].get("artifacts", {}).values()
        }
        assert reads == set(task.inputs), task.name
        waits = {names(pipeline)[dep] for dep in spec.get("dependentTasks", [])}
        assert waits == set(task.upstream), task.name
        parameter = spec["inputs"]["parameters"]["plan"]["componentInputParameter"]
        assert parameter == f"pipelinechannel--{task.parameter}"


def test_every_task_carries_its_plan_as_default(pipeline: dict[str, Any], plan: Plan) -> None:
    parameters = pipeline["root"]["inputDefinitions"]["parameters"]
    for task in TASKS:
        assert StepPlan.parse(parameters[task.parameter]["defaultValue"]) == plan.tasks[task.name]


def test_the_report_runs_whatever_happened_and_is_never_cached(pipeline: dict[str, Any]) -> None:
    report = pipeline["root"]["dag"]["tasks"][EXIT_TASK]
    assert report["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    assert not report["cachingOptions"].get("enableCache")


def test_no_task_hangs_on_a_condition_or_installs_packages(pipeline: dict[str, Any]) -> None:
    text = yaml.safe_dump(pipeline)
    assert "condition:" not in text
    assert "pip install" not in text


def test_a_file_that_is_no_yaml_is_refused(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="must end in .yaml"):
        compile_pipeline(plan, tmp_path / "pipeline.json")
    assert list(tmp_path.iterdir()) == []


def test_the_figure_and_the_table_are_the_dags() -> None:
    page = figure.PAGE.read_text()
    assert figure.render(page) == page
    assert "  validate -.-> label" in page and "  attending-easy --> attending-medium" in page
