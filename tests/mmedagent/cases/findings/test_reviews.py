"""What people have reviewed: the file, what it holds for, and what has become stale."""

from datetime import date
from pathlib import Path

import pytest

from mmedagent.cases.case import Case
from mmedagent.cases.findings.finding import Finding, counts, keep_findings, kept_findings
from mmedagent.cases.findings.kinds import KINDS
from mmedagent.cases.findings.reviews import (
    Review,
    ReviewFile,
    Reviews,
    read_reviews,
    reviews_of,
    write_reviews,
)
from mmedagent.errors import BadDataError
from tests.mmedagent.cases.examples import data_set
from tests.mmedagent.cases.findings.small import facts_of

POLICIES = {kind: about.default for kind, about in KINDS.items()}
ONE = Finding("subject_in_pools", ("set", "one"), "said", ((0, "test"), (1, "train")))
TWO = Finding("same_image", ("abc",), "said", ((2, "train-1"),), images=("abc",))
WARNING = Finding("blank_image", ("def",), "said", ((3, "dark"),))


def _review(**fields: object) -> Review:
    known = {"kind": "subject_in_pools", "who": "A", "when": date(2026, 5, 4), "why": "one only"}
    return Review.model_validate(known | fields)


def _kept(folder: Path, *reviews: Review) -> tuple[Reviews, dict[str, dict[str, int]], list[str]]:
    given = Reviews(reviews)
    cases: list[Case] = data_set()
    with facts_of(folder, cases) as facts:
        keep_findings(facts, iter([ONE, TWO, WARNING]), POLICIES, given)
        marked = "subject_also_in IS NOT NULL OR same_image_as IS NOT NULL OR blank_image NOT NULL"
        rows = facts.rows(f"SELECT case_id FROM cases WHERE {marked} ORDER BY position")
        found = {each["kind"]: each for each in kept_findings(facts, 10)}
        assert list(found) == ["same_image", "subject_in_pools", "blank_image"]
        assert found["same_image"]["images"] == ["abc"] and found["same_image"]["cases"] == 1
        return given, counts(facts), [case_id for (case_id,) in rows]


def test_what_stops_marks_its_cases(tmp_path: Path) -> None:
    _, found, marked = _kept(tmp_path)
    assert found["subject_in_pools"] == {"stop": 1, "warn": 0, "reviewed": 0}
    assert found["blank_image"] == {"stop": 0, "warn": 1, "reviewed": 0}
    assert len(marked) == 3


def test_a_review_by_id_holds_for_its_finding_alone(tmp_path: Path) -> None:
    given, found, marked = _kept(tmp_path, _review(finding=ONE.id))
    assert found["subject_in_pools"]["reviewed"] == 1 and found["same_image"]["stop"] == 1
    assert len(marked) == 1 and not given.stale()


def test_a_review_by_cases_holds_when_it_names_all(tmp_path: Path) -> None:
    with facts_of(tmp_path / "ids", data_set()) as facts:
        names = [str(name) for (name,) in facts.rows("SELECT case_id FROM cases LIMIT 2")]
    _, found, _ = _kept(tmp_path / "all", _review(cases=[*names, "another"]))
    assert found["subject_in_pools"]["reviewed"] == 1
    given, found, _ = _kept(tmp_path / "half", _review(cases=names[:1]))
    assert found["subject_in_pools"]["stop"] == 1 and len(given.stale()) == 1


def test_a_review_of_another_kind_or_of_no_finding_is_stale(tmp_path: Path) -> None:
    reviews = _review(finding=TWO.id), _review(finding="0" * 16)
    given, found, _ = _kept(tmp_path, *reviews)
    assert found["same_image"]["stop"] == 1
    assert given.stale() == list(reviews)


def test_the_file_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "set.yaml"
    content = ReviewFile(
        data_set="set", reviews=(_review(finding=ONE.id), _review(cases=("a", "b"), why="Größe: 3"))
    )
    write_reviews(path, content)
    back = read_reviews(path)
    assert set(back.reviews) == set(content.reviews) and "when: 2026-05-04" in path.read_text()
    first = path.read_bytes()
    write_reviews(path, back)
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema: 2\ndata_set: set", "schema"),
        ("[", "no review file"),
        ("schema: 1\ndata_set: set\nreviews: [{kind: same_image, who: a, why: b}]", "reviews.0"),
        ("schema: 1\ndata_set: set\nreviews: [{finding: '12', kind: x, who: a}]", "reviews.0"),
    ],
)
def test_a_broken_file_is_named_with_its_field(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "set.yaml"
    path.write_text(text)
    with pytest.raises(BadDataError, match=message) as raised:
        read_reviews(path)
    assert str(path) in str(raised.value)


def test_where_reviews_are_found(tmp_path: Path) -> None:
    assert not reviews_of(tmp_path, "set").all
    assert len(reviews_of(tmp_path, "starter").all) == 8  # shipped: docs/data.md, 'Pools'
    write_reviews(tmp_path / "reviewed.yaml", ReviewFile(data_set="set", reviews=()))
    assert not reviews_of(tmp_path, "set").all
    with pytest.raises(BadDataError, match="of 'set', not of 'starter'"):
        reviews_of(tmp_path, "starter")
