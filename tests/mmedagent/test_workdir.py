"""One step at a time: what `run_step` publishes, records and refuses."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmedagent import progress
from mmedagent.atomic import new_folder
from mmedagent.digests import digest_file, digest_folder
from mmedagent.errors import UsageError
from mmedagent.recipes.gate import GateRecipe
from mmedagent.stepplan import StepPlan
from mmedagent.workdir import Step, run_step

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@dataclass
class Place:
    """An artifact: a place in the file system with facts."""

    path: str
    name: str = "made"
    metadata: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMEDAGENT_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("MMEDAGENT_RUN", str(tmp_path / "run"))
    monkeypatch.delenv("MMEDAGENT_LIFELINE", raising=False)


def plan(**recipe: Any) -> StepPlan:
    return StepPlan(task="gate", recipe=recipe, versions={}, inputs="i", code="c")


def write(step: Step) -> dict[str, Any]:
    with new_folder(step.out) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "a.txt").write_text("a")
    return {"rows": 3}


@given(recipe=st.dictionaries(st.text(), JSON, max_size=3))
def test_a_plan_survives_being_an_argument(recipe: dict[str, Any]) -> None:
    planned = plan(**{}).model_copy(update={"recipe": recipe})
    again = StepPlan.parse(planned.as_json())
    assert again == planned and again.digest == planned.digest


def test_a_number_that_json_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        plan(learning_rate=float("inf")).as_json()


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"task": "x", "more": 1}', "no json"])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a planned task"):
        StepPlan.parse(text)


def test_outputs_are_published_with_their_digests(tmp_path: Path) -> None:
    whole = Place(str(tmp_path / "o" / "whole"), "whole")
    part = Place(str(tmp_path / "o" / "part"), "part")
    run_step(plan().as_json(), {".": whole, "inner/a.txt": part}, write)
    assert Path(part.path).read_text() == "a"
    assert whole.metadata == {"digest": digest_folder(Path(whole.path))}
    assert part.metadata == {"digest": digest_file(Path(part.path))}
    record = json.loads((tmp_path / "run" / "tasks" / "gate.json").read_text())
    assert record["state"] == "executed" and record["result"] == {"rows": 3}
    assert record["outputs"] == {"whole": whole.path, "part": part.path}


def test_the_same_plan_is_not_worked_twice_and_another_is(tmp_path: Path) -> None:
    worked: list[str] = []

    def work(step: Step) -> dict[str, Any]:
        worked.append(step.plan.digest)
        return write(step)

    for recipe in ({"n": 1}, {"n": 1}, {"n": 2}):
        run_step(plan(**recipe).as_json(), {".": Place(str(tmp_path / "o"))}, work)
    assert worked == [plan(n=1).digest, plan(n=2).digest]


def test_a_step_that_publishes_nothing_has_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run_step(plan().as_json(), {".": Place(str(tmp_path / "o"))}, lambda step: {})
    assert ended.value.code == 1
    assert "gate: gate ended without publishing" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_section_is_validated_when_it_is_read(tmp_path: Path) -> None:
    def work(step: Step) -> dict[str, Any]:
        assert step.recipe("gate", GateRecipe).margin == 0.1
        with pytest.raises(UsageError, match="recipe section broken"):
            step.recipe("broken", GateRecipe)
        with pytest.raises(UsageError, match="no recipe section 'other'"):
            step.recipe("other", GateRecipe)
        return write(step)

    sections = {"gate": {"margin": 0.1}, "broken": {"margin": -1}}
    run_step(plan(**sections).as_json(), {".": Place(str(tmp_path / "o"))}, work)


def test_work_survives_a_failure_and_goes_after_success(tmp_path: Path) -> None:
    def fail_once(step: Step) -> dict[str, Any]:
        checkpoint = step.work / "at.txt"
        if not checkpoint.exists():
            checkpoint.write_text("1")
            raise UsageError("not yet")
        return {**write(step), "at": checkpoint.read_text()}

    place = Place(str(tmp_path / "o"))
    with pytest.raises(SystemExit) as ended:
        run_step(plan().as_json(), {".": place}, fail_once)
    assert ended.value.code == 2
    run_step(plan().as_json(), {".": place}, fail_once)
    record = json.loads((tmp_path / "run" / "tasks" / "gate.json").read_text())
    assert record["result"] == {"rows": 3, "at": "1"}
    assert not list((tmp_path / "work").glob("gate/*/work"))


def test_progress_is_what_was_told_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "p.json"
    assert progress.read(file) is None
    progress.tell(1, 2)  # nobody watches
    monkeypatch.setenv(progress.VARIABLE, str(file))
    for done in range(1, 101):
        progress.tell(done, 100, f"step {done}")
    assert progress.read(file) == (100, 100, "step 100")
    file.write_text('{"done": 1')
    assert progress.read(file) is None
