"""What `data diff` says is what a comparison of the cases one by one says, and no free text."""

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmedagent.cases.case import Case
from mmedagent.cases.layout import row_of
from mmedagent.cases.sets.comparison import FEW, compare
from mmedagent.cases.sets.contents import FIELDS, compare_contents
from mmedagent.cases.sets.distributions import (
    SIDE,
    distance,
    distributions,
    quantile,
    widest_gap,
)
from mmedagent.cases.store import write_cases, write_rows
from mmedagent.errors import BadDataError
from tests.mmedagent.cases.examples import data_set, example, noise

CHANGES: dict[str, dict[str, Any]] = {
    "same": {},
    "pool": {"pool": "test"},
    "question": {"question": "Which modality?"},
    "options": {"options": ("histology", "CT")},
    "images": {"images": (noise(99),)},
    "two": {"subject": "another", "attributes": {"sex": "f"}},
}
COUNTS = st.dictionaries(st.integers(0, 6), st.integers(0, 50), max_size=5)


@st.composite
def versions(draw: st.DrawFn) -> tuple[list[Case], list[Case]]:
    """Two versions over eight possible cases: each is in one, both or none, perhaps changed."""
    one, two = [example(0)], [example(0)]
    for number in range(1, 8):
        where = draw(st.sampled_from(["none", "one", "two", *CHANGES]))
        if where in CHANGES or where == "one":
            one.append(example(number))
        if where in CHANGES:
            two.append(example(number, **CHANGES[where]))
        elif where == "two":
            two.append(example(number))
    return one, two


@settings(max_examples=25, deadline=None)
@given(versions())
def test_what_came_went_and_changed(both: tuple[list[Case], list[Case]]) -> None:
    before, after = ({case.case_id: case for case in cases} for cases in both)
    with tempfile.TemporaryDirectory() as folder:
        for name, cases in zip(("one", "two"), both, strict=True):
            write_cases(Path(folder) / name, "set", cases)
        found = compare_contents(Path(folder) / "one", Path(folder) / "two")
    came, went = sorted(after.keys() - before), sorted(before.keys() - after)
    differ = {
        name: [field for field in ("pool", *FIELDS) if _field(before, name, field)
               != _field(after, name, field)]
        for name in sorted(before.keys() & after)
    }  # fmt: skip
    changed = {name: fields for name, fields in differ.items() if fields}
    assert found.ids["came"] == came and found.ids["went"] == went
    assert dict(found.ids["changed"]) == changed
    assert found.changed == Counter(field for fields in changed.values() for field in fields)
    assert found.changed_cases == len(changed)
    assert found.came == Counter(after[name].pool for name in came)
    assert found.unchanged == len(before.keys() & after) - len(changed)
    assert (found.before, found.after) == (len(before), len(after))


def _field(cases: dict[str, Case], name: str, field: str) -> Any:
    return getattr(cases[name], field)


def test_a_case_that_changes_pool_is_no_case_that_came(tmp_path: Path) -> None:
    write_cases(tmp_path / "one", "set", [example(0), example(1)])
    write_cases(tmp_path / "two", "set", [example(0), example(1, pool="train", case_id="train-1")])
    assert compare_contents(tmp_path / "one", tmp_path / "two").unchanged == 2
    moved = example(1).model_copy(update={"pool": "test"})
    write_cases(tmp_path / "three", "set", [example(0), moved])
    found = compare_contents(tmp_path / "one", tmp_path / "three")
    assert found.moved == {("train", "test"): 1}
    assert found.changed == {"pool": 1} and not found.came and not found.went


def test_schemas_alone_change_no_case(tmp_path: Path) -> None:
    write_cases(tmp_path / "one", "set", data_set(), 1)
    write_cases(tmp_path / "two", "set", data_set(), 2)
    found = compare(("a", tmp_path / "one"), ("b", tmp_path / "two"))
    assert found.same and found.contents.unchanged == 20
    assert all(moved.distance == 0 for moved in found.moved)


def test_an_id_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "v", "set", [row_of(example(0)), row_of(example(0))])
    with pytest.raises(BadDataError, match="occurs twice"):
        compare_contents(tmp_path / "v", tmp_path / "v")


def test_only_so_many_ids_are_kept(tmp_path: Path) -> None:
    write_cases(tmp_path / "one", "set", [example(0)])
    write_cases(tmp_path / "two", "set", data_set())
    found = compare_contents(tmp_path / "one", tmp_path / "two", named=3)
    assert len(found.ids["came"]) == 3 and sum(found.came.values()) == 19


def test_rare_words_and_questions_are_not_repeated(tmp_path: Path) -> None:
    rare = "history of Jane Roe, ward 7"
    common = [example(n, question_type="region") for n in range(FEW)]
    odd = example(50, question_type=rare, question=f"What of {rare}?")
    answered = example(51, options=(rare, "no"), answer=rare)
    write_cases(tmp_path / "one", "set", common)
    write_cases(tmp_path / "two", "set", [*common, odd, answered])
    found = compare(("a", tmp_path / "one"), ("b", tmp_path / "two"))
    text = json.dumps(found.as_dict())
    assert "Jane" not in text and "ward 7" not in text
    types = next(moved for moved in found.moved if moved.name == "question type")
    assert types.unnamed == 2 and types.unnamed_cases == (0, 2)  # `modality` occurs once, too
    assert types.after == {"region": FEW}
    assert types.distance == pytest.approx(2 / 7)


def test_sizes_are_of_every_image_png_and_jpeg(tmp_path: Path) -> None:
    cases = [
        example(0, images=(noise(1, 40), noise(2, 33))),
        example(1, images=(noise(3, 48, "JPEG"),)),
        example(2, options=(), answer="x", answer_type="open"),
    ]
    write_cases(tmp_path / "v", "set", cases)
    assert distributions(tmp_path / "v").numbers[SIDE] == {40: 1, 33: 1, 48: 1, 32: 1}
    assert SIDE not in distributions(tmp_path / "v", images=False).numbers


@given(COUNTS, COUNTS)
def test_distances_are_between_none_and_all(one: dict[int, int], two: dict[int, int]) -> None:
    for measure in (distance, widest_gap):
        assert 0 <= measure(one, two) <= 1 + 1e-12
        assert measure(one, two) == pytest.approx(measure(two, one))
        assert measure(one, one) == 0
        assert measure({k: 3 * v for k, v in one.items()}, one) == pytest.approx(0)
    assert widest_gap(one, two) <= distance(one, two) + 1e-12


def test_distances_of_known_shares() -> None:
    assert distance({"a": 1, "b": 1}, {"a": 3, "b": 1}) == pytest.approx(0.25)
    assert widest_gap({1: 1, 2: 1}, {2: 1, 3: 1}) == pytest.approx(0.5)
    assert distance({}, {"a": 1}) == 1
    assert [quantile({1: 2, 5: 2}, share) for share in (0.05, 0.5, 0.95)] == [1, 1, 5]
    assert quantile({}, 0.5) is None
