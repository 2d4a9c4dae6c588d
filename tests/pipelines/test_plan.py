"""The plan: one changed field or source changes the tasks that depend on it, and no others."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mmedagent.errors import UsageError
from mmedagent.recipes.named import RECIPES
from mmedagent.recipes.schema import Recipe
from pipelines.code_digest import code_digest, reached_files
from pipelines.dag import BY_NAME, TASKS, TRAINED, Task
from pipelines.plan import Plan, Versions, make_plan

ROOT = Path(__file__).parents[2]
VERSIONS = Versions(data="d" * 32, base="b" * 32, panel="e" * 32)
RECIPE = RECIPES["laptop"]()
AFTER_TRAINING = {"evaluate", "gate", "register", "deploy"}
ATTENDING = {"attending-easy", "attending-medium", "attending-hard"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources that a test may edit."""
    root = tmp_path_factory.mktemp("checkout")
    for name in ("mmedagent", "components"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.lock", root)
    return root


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose shells reach nothing: planning it takes no time."""
    root = tmp_path_factory.mktemp("bare")
    (root / "requirements.lock").write_text("")
    for name in {task.component for task in TASKS}:
        (root / "components" / name).mkdir(parents=True)
        (root / "components" / name / "component.py").write_text("")
    return root


def plan(root: Path = ROOT, recipe: Recipe = RECIPE, versions: Versions = VERSIONS) -> Plan:
    return make_plan(root, recipe, versions)


def changed(one: Plan, other: Plan) -> set[str]:
    return {name for name in one.tasks if one.tasks[name].digest != other.tasks[name].digest}


def with_dependents(names: set[str]) -> set[str]:
    found = set(names)
    for task in TASKS:  # in topological order
        if found & set(task.inputs):
            found.add(task.name)
    return found


def changed_by_edit(root: Path, source: str) -> set[str]:
    before = plan(root)
    path = root / source
    text = path.read_bytes()
    try:
        path.write_bytes(text + b"\n# One more line.\n")
        return changed(before, plan(root))
    finally:
        path.write_bytes(text)


def leaves(values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from leaves(value, (*path, key))
    elif isinstance(values, bool | int | float):
        yield path, values


LEAVES = [leaf for leaf in leaves(RECIPE.model_dump(mode="json")) if leaf[0][0] != "name"]


def replaced(path: tuple[str, ...], change: Callable[[Any], Any]) -> Recipe:
    values = RECIPE.model_dump(mode="json")
    section = values
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = change(section[path[-1]])
    return Recipe.model_validate(values)


def readers(path: tuple[str, ...]) -> set[str]:
    def reads(task: Task) -> bool:
        return any(path[: len(s.split("."))] == tuple(s.split(".")) for s in task.sections)

    return {task.name for task in TASKS if reads(task)}


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("validation.max_imbalance", {"validate"}),
        ("training.triage.seed", {"triage-rl"} | AFTER_TRAINING),
        ("training.attending.seed", ATTENDING | AFTER_TRAINING),
        ("warm_start.attending.seed", {"warm-start-attending"} | ATTENDING | AFTER_TRAINING),
        ("evaluation.resamples", AFTER_TRAINING),
        (
            "label.off_role_share",
            {"label", "curriculum", "warm-start-attending"} | ATTENDING | AFTER_TRAINING,
        ),
        ("gate.margin", {"gate", "register", "deploy"}),
        ("serving.batch", set()),
    ],
)
def test_a_changed_field_changes_the_tasks_that_read_it_and_what_follows(
    bare: Path, override: str, expected: set[str]
) -> None:
    double = replaced(tuple(override.split(".")), lambda value: value * 2 or 1)
    assert changed(plan(bare), plan(bare, double)) == expected


@settings(max_examples=60, deadline=None)
@given(leaf=st.sampled_from(LEAVES))
def test_any_field_changes_exactly_its_readers_and_their_dependents(
    bare: Path, leaf: tuple[tuple[str, ...], Any]
) -> None:
    path, _ = leaf
    try:
        recipe = replaced(path, lambda v: not v if isinstance(v, bool) else v + type(v)(1))
    except ValidationError:
        assume(False)
    assert changed(plan(bare), plan(bare, recipe)) == with_dependents(readers(path))


@pytest.mark.parametrize(
    ("source", "includes", "excludes"),
    [
        ("mmedagent/gate/policy.py", {"gate"}, {"label", "triage-rl", "attending-hard"}),
        ("mmedagent/training/triage.py", {"triage-rl"}, {"label", "warm-start-attending"}),
        ("mmedagent/training/loss.py", {"triage-rl", "attending-easy"}, {"label", "ingest"}),
        ("mmedagent/panel/label.py", {"label", "curriculum"}, {"triage-rl", "warm-start-triage"}),
        ("mmedagent/panel/app.py", {"label"}, {"triage-rl", "ingest"}),  # started by name
        ("mmedagent/models/generate.py", {"evaluate", "label"}, {"ingest", "validate"}),
        ("mmedagent/report/templates/verdict.html.j2", {"gate"}, {"evaluate"}),
        ("components/gate/component.py", {"gate", "register"}, {"evaluate", "label"}),
        ("requirements.lock", set(BY_NAME), set()),
        ("mmedagent/report/write.py", set(), set(BY_NAME)),
    ],
)
def test_an_edited_line_changes_the_tasks_that_reach_it(
    checkout: Path, source: str, includes: set[str], excludes: set[str]
) -> None:
    found = changed_by_edit(checkout, source)
    assert includes <= found
    assert not excludes & found
    own = {
        task.name
        for task in TASKS
        if checkout / source in reached_files(checkout, f"components.{task.component}.component")
    }
    if source != "requirements.lock":
        assert found == with_dependents(own)


def test_a_new_base_leaves_labels_and_curriculum_alone() -> None:
    other = Versions(data=VERSIONS.data, base="c" * 32, panel=VERSIONS.panel)
    found = changed(plan(), plan(versions=other))
    assert "warm-start-triage" in found and "attending-hard" in found
    assert not {"ingest", "validate", "label", "curriculum"} & found


def test_the_champion_decides_the_evaluation_and_never_the_training() -> None:
    asked: list[str] = []

    def against(challenger: str) -> str:
        asked.append(challenger)
        return "f" * 64

    other = make_plan(ROOT, RECIPE, VERSIONS, against)
    assert changed(plan(), other) == AFTER_TRAINING
    assert asked == [plan().challenger]
    assert other.tasks["evaluate"].versions["champion"] == "f" * 64


def test_validation_alone_knows_the_data_that_the_champion_was_made_of() -> None:
    def planned(data: str, recipe: Recipe = RECIPE) -> Plan:
        return make_plan(ROOT, recipe, VERSIONS, lambda _: "f" * 64, lambda _version: data)

    one, other = planned("1" * 32), planned("2" * 32)
    assert one.tasks["validate"].versions == {"before": "1" * 32}
    assert changed(one, other) == {"validate"}
    assert list(one.tasks) == [task.name for task in TASKS]
    assert planned(VERSIONS.data).tasks["validate"].versions == {"before": "none"}
    assert plan().tasks["validate"].versions == {"before": "none"}
    values = RECIPE.model_dump(mode="json")
    values["validation"]["policy"] = {"drift": "off"}
    deaf = planned("1" * 32, Recipe.model_validate(values))
    assert deaf.tasks["validate"].versions == {"before": "none"}


def test_how_the_data_was_named_decides_nothing() -> None:
    named = replace(VERSIONS, name="vqa-rad", revision="v1.0", manifest="a" * 64)
    assert plan(versions=named).digest == plan().digest


def test_the_challengers_digest_covers_what_trains_it_and_nothing_later() -> None:
    lenient = replaced(("gate", "margin"), lambda value: value * 2)
    longer = replaced(("training", "triage", "seed"), lambda value: value + 1)
    assert plan(recipe=lenient).challenger == plan().challenger
    assert plan(recipe=longer).challenger != plan().challenger
    assert set(TRAINED) <= with_dependents({"ingest"})


def test_imports_are_followed_wherever_they_are_written(tmp_path: Path) -> None:
    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    write("requirements.lock", "x==1\n")
    write("components/__init__.py", "")
    write("components/one/component.py", "def f():\n    from mmedagent.a import b\n")
    write("mmedagent/__init__.py", "")
    write("mmedagent/a/__init__.py", "")
    write("mmedagent/a/b.py", "from . import c\nfrom ..e import g\nRUN = ['-m', 'mmedagent.d']\n")
    write("mmedagent/a/c.py", "import json, os.path\n")
    write("mmedagent/a/page.j2", "template")
    write("mmedagent/a/tables/t.csv", "1")
    write("mmedagent/d.py", "")
    write("mmedagent/e.py", "g = 1\n")
    write("mmedagent/unrelated.py", "")
    found = {
        path.relative_to(tmp_path).as_posix()
        for path in reached_files(tmp_path, "components.one.component")
    }
    names = ("__init__", "a/__init__", "a/b", "a/c", "d", "e")
    expected = {f"mmedagent/{name}.py" for name in names} | {
        "mmedagent/a/page.j2",
        "mmedagent/a/tables/t.csv",
    }
    assert found == expected | {"components/__init__.py", "components/one/component.py"}

    before = code_digest(tmp_path, "one")
    write("mmedagent/unrelated.py", "x = 1\n")
    assert code_digest(tmp_path, "one") == before
    write("mmedagent/a/page.j2", "another")
    assert code_digest(tmp_path, "one") != before


def test_what_cannot_be_digested_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="requirements.lock is missing"):
        code_digest(tmp_path, "one")
    (tmp_path / "requirements.lock").write_text("")
    with pytest.raises(UsageError, match="no module components.one.component"):
        code_digest(tmp_path, "one")
    (tmp_path / "components/one").mkdir(parents=True)
    (tmp_path / "components/one/component.py").write_text("def f(:\n")
    with pytest.raises(UsageError, match="component.py:1"):
        code_digest(tmp_path, "one")


def test_a_baseline_that_no_task_trains_is_refused_before_the_run(bare: Path) -> None:
    asked = {"baselines": ["easy_only", "supervised_with_opinions"]}
    values = RECIPE.model_dump()
    recipe = Recipe.model_validate({**values, "evaluation": {**values["evaluation"], **asked}})
    with pytest.raises(UsageError, match="trains supervised_with_opinions"):
        plan(bare, recipe)
