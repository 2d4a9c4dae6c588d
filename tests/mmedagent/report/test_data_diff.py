"""The page of a comparison: whole, from nothing outside, and right in its figures."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from mmedagent.cases.sets.comparison import compare
from mmedagent.cases.store import write_cases
from mmedagent.report.data_charts import flow_chart, histogram_chart, pairs_chart
from mmedagent.report.data_diff import diff_page, sentence
from tests.mmedagent.cases.examples import data_set, example


@pytest.fixture
def compared(tmp_path: Path) -> dict[str, Any]:
    one = data_set()
    two = [case for case in one if case.case_id != "train-0"]
    two[0] = two[0].model_copy(update={"question": "Which <modality> is this?"})
    two += [example(n, "test", question_type="<i>plane</i>") for n in range(10, 16)]
    write_cases(tmp_path / "one", "set", one)
    write_cases(tmp_path / "two", "set", two)
    sides = ("set@v1 <x>", tmp_path / "one"), ("set", tmp_path / "two")
    return compare(*sides).as_dict()


def test_the_page_says_what_changed_and_loads_nothing(compared: dict[str, Any]) -> None:
    page = diff_page(compared)
    assert "From set@v1 &lt;x&gt; to set: 6 cases came, 1 went and 1 changed." in page
    assert "<x>" not in page and "<i>plane" not in page and "&lt;i&gt;plane" in page
    assert "Which &lt;modality" not in page and "Which <modality" not in page
    assert not re.search(r"(src|href)=|@import|url\(|<script", page)
    assert "train-0" in page and "test-10" in page
    for name in ("specialty", "modality", "answer type", "question length", "longer side"):
        assert f"<b>{name}" in page


def test_every_drawing_is_wellformed_and_has_a_name(compared: dict[str, Any]) -> None:
    drawings = re.findall(r"<svg.*?</svg>", diff_page(compared), re.S)
    assert len(drawings) == 1 + len(compared["distributions"])
    for drawing in drawings:
        tree = ElementTree.fromstring(drawing)
        assert tree.get("role") == "img" and tree.get("aria-label")
        lengths = [float(r.get("width", "0")) for r in tree.iter("rect")]
        assert all(length >= 0 for length in lengths)


def test_bars_are_as_long_as_their_shares() -> None:
    tree = ElementTree.fromstring(pairs_chart("x", {"a": 1, "b": 3}, {"a": 1, "b": 1}))
    widths = [float(r.get("width", "0")) for r in tree.iter("rect")]  # a, a, b, b
    assert widths[0] * 2 == pytest.approx(widths[1], abs=0.05)
    assert widths[2] == pytest.approx(3 * widths[0], abs=0.05)
    texts = [t.text for t in tree.iter("text")]
    assert "+25.0" in texts and "−25.0" in texts


def test_of_many_categories_those_that_moved_are_drawn() -> None:
    before = {f"kind {n}": 100 for n in range(30)}
    after = before | {"kind 29": 300}
    texts = [t.text for t in ElementTree.fromstring(pairs_chart("x", before, after)).iter("text")]
    assert "kind 29" in texts and sum(str(t).startswith("kind") for t in texts) == 12


def test_a_histogram_of_one_value_and_of_none() -> None:
    one = ElementTree.fromstring(histogram_chart("x", {5: 3}, {5: 1}))
    assert [t.text for t in one.iter("text")][-1] == "5"
    assert "nothing to show" in histogram_chart("x", {}, {})
    assert "nothing to show" in pairs_chart("x", {}, {})


def test_equal_versions_are_called_equal(tmp_path: Path) -> None:
    write_cases(tmp_path / "v", "set", data_set(1))
    same = compare(("a", tmp_path / "v"), ("b", tmp_path / "v")).as_dict()
    assert sentence(same) == "a and b hold the same 5 cases."
    assert "went" in flow_chart(same["cases"]) and diff_page(same)
