import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmedagent.cases.case import SPECIALTIES
from mmedagent.errors import BrokenEvidenceError, UsageError
from mmedagent.study.context import Row
from mmedagent.study.folder import (
    cell_path,
    layout,
    pool_path,
    read_evidence,
    read_file,
    shared_path,
    study_path,
    write_file,
)
from mmedagent.study.schema import CODES, Cell, CellSeconds, CurvePoint, Decisions, Pool, Shared
from tests.mmedagent.study.factory import Factory, Plan

LETTERS = st.text("ABCDZ-", max_size=300)
SPECS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(
    greedy=LETTERS,
    sampled=st.lists(LETTERS, max_size=3),
    roles=st.lists(st.sampled_from([*SPECIALTIES, None]), max_size=200),
    spec=st.dictionaries(st.text(max_size=8), SPECS, max_size=4),
    curve=st.lists(st.floats(-5, 5), max_size=30),
)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_cell_survives_its_file(
    greedy: str,
    sampled: list[str],
    roles: list[str | None],
    spec: dict[str, object],
    curve: list[float],
) -> None:
    cell = Cell(
        row="x", group="paper", seed=3, spec=spec, revision="r", recipe_digest="a",
        data_digest="b", cpu_seconds=CellSeconds(train=1, evaluate=2),
        pools={"test": Decisions(
            greedy=greedy, sampled=tuple(sampled), role=tuple(roles), opinions={"a": greedy})},
        curve=tuple(CurvePoint(stage="easy", step=n, reward=v) for n, v in enumerate(curve)),
    )  # fmt: skip
    text = layout(cell)
    assert Cell.model_validate_json(text) == cell
    assert layout(Cell.model_validate_json(text)) == text
    assert json.loads(text)["schema"] == 1


def test_specialties_are_one_character_each() -> None:
    assert len(set(CODES.values())) == len(SPECIALTIES)
    decisions = Decisions(greedy="AB", role=("Ophthalmologist", None))
    assert json.loads(decisions.model_dump_json())["role"] == "Y-"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    rows = [(Row("full", "baseline", "", "rest"), Plan(seeds=2))]
    Factory(images=10).write(tmp_path, rows)
    return tmp_path


def test_a_cell_of_the_test_pool_is_small_and_can_be_compared_line_by_line(tmp_path: Path) -> None:
    """At the starter data's size, with a whole curve: 20 kB at most, no line without an end."""
    stages = {"easy": (0.9, 0.6, 0.1), "medium": (0.9, 0.6, 0.1)}
    rows = [(Row("full", "baseline", "", "rest"), Plan(seeds=1, stages=stages))]
    Factory(images=248).write(tmp_path, rows)
    text = cell_path(tmp_path, "full", 0).read_text()
    assert len(text) < 20_000
    assert text.count("\n") > 40
    assert [line for line in text.splitlines() if len(line) > 1100] == []


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"greedy": "', '"greedy": "A', r"pools.validation.greedy: 41 cases; .* has 40"),
        ('"greedy": "', '"greedy": "a', r"pools.validation.greedy: character 1 is 'a'"),
        ('"seed": 0', '"seed": 1', r"seed is 1, its study says 0"),
        ('"row": "full"', '"row": "fool"', r"row is 'fool', its study says 'full'"),
        ('"recipe_digest": "r', '"recipe_digest": "s', r"recipe_digest is 's"),
        ('"data_digest": "d', '"data_digest": "e', r"data_digest is 'e"),
        ('"train": 30.0', '"train": -1', r"cpu_seconds.train: .*greater than or equal to 0"),
        ('"group": "baseline"', '"group": "other"', r"group: .*'factorial'"),
        ('"schema": 1', '"schema": 2', r"schema: "),
        ('"spec": {}', '"spec": {}, "extra": 1', r"extra: "),
        ("{", "", r"Invalid JSON"),
    ],
)
def test_a_cell_that_is_not_what_its_place_says_is_named_with_its_field(
    study: Path, old: str, new: str, message: str
) -> None:
    path = cell_path(study, "full", 0)
    change(path, old, new)
    with pytest.raises(BrokenEvidenceError, match=message) as error:
        read_evidence(study)
    assert str(path) in str(error.value)


def test_shared_files_and_pools_are_checked_too(study: Path) -> None:
    path = shared_path(study, 1)
    change(path, '"best_specialist": "birch"', '"best_specialist": "oak"')
    with pytest.raises(BrokenEvidenceError, match=r"seed-1.json: best_specialist: 'oak' is none"):
        read_evidence(study)
    change(path, '"best_specialist": "oak"', '"best_specialist": "birch"')
    change(path, '"role": "', '"role": "X')
    with pytest.raises(BrokenEvidenceError, match=r"role: unknown specialty codes \['X'\]"):
        read_file(path, Shared)
    pool = pool_path(study, "test")
    change(pool, '"gold": "', '"gold": "-')
    with pytest.raises(BrokenEvidenceError, match=r"pool-test.json: gold: 41 entries for 40"):
        read_file(pool, Pool)


def test_a_file_under_another_name_is_refused(study: Path) -> None:
    cell_path(study, "full", 0).rename(cell_path(study, "full", 7))
    with pytest.raises(BrokenEvidenceError, match="seed is 0, its study says 7"):
        read_evidence(study)
    cell_path(study, "full", 7).rename(study / "cells" / "full" / "seed-x.json")
    with pytest.raises(BrokenEvidenceError, match="is called seed-<number>.json"):
        read_evidence(study)


def test_a_pool_that_is_missing_and_a_study_that_is_missing(study: Path) -> None:
    pool_path(study, "test").unlink()
    with pytest.raises(BrokenEvidenceError, match=r"pool-test.json: cannot be read"):
        read_evidence(study)
    study_path(study).unlink()
    with pytest.raises(UsageError, match="holds no study.*`mmedagent study` makes one"):
        read_evidence(study)


def test_writing_replaces_whole_files(study: Path) -> None:
    path = cell_path(study, "full", 0)
    cell = read_file(path, Cell)
    write_file(path, cell)
    assert read_file(path, Cell) == cell
    assert [p.name for p in path.parent.iterdir() if p.name.startswith(".")] == []
