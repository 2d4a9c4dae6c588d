"""Rare specialties, frequent answers, letters that are right too often, distributions that move."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmedagent.cases.case import Case
from mmedagent.cases.findings.balance import frequent_answers, option_order, rare_specialties
from mmedagent.cases.findings.drift import distributions_of, drift, read_before
from mmedagent.cases.store import write_cases
from mmedagent.errors import BadDataError
from mmedagent.recipes.data import ValidationRecipe
from tests.mmedagent.cases.examples import data_set, example, noise
from tests.mmedagent.cases.findings.small import facts_of, ids

RECIPE = ValidationRecipe(max_imbalance=2.0, max_answer_share=0.8)
_IMAGE = noise(1)
_WORDS = ("liver", "spleen", "kidney", "heart", "lung", "brain", "bone", "skin")


def test_a_rare_specialty_counts_images_not_questions(tmp_path: Path) -> None:
    cases = [example(n, specialty="Radiologist") for n in range(0, 6, 2)]
    rare = [
        example(1, specialty="Pathologist", images=(noise(99),), case_id=f"rare-{n}")
        for n in range(5)
    ]
    with facts_of(tmp_path, [*cases, *rare]) as facts:
        [finding] = rare_specialties(facts, RECIPE)
        assert finding.key == ("Pathologist",) and finding.count == 5
        assert {value for _, value in finding.cases} == {3.0}
        assert not list(rare_specialties(facts, ValidationRecipe(max_imbalance=3.0)))


def test_an_answer_that_is_nearly_always_right(tmp_path: Path) -> None:
    cases = [example(0, case_id=f"ct-{n}") for n in range(9)]
    cases.append(example(1, case_id="one"))
    cases += [
        example(0, case_id=f"open-{n}", options=(), answer="CT", answer_type="open",
                question_type="which")
        for n in range(9)
    ]  # fmt: skip
    with facts_of(tmp_path, cases) as facts:
        [finding] = frequent_answers(facts, RECIPE)
        assert finding.count == 9 and "9 of 10" in finding.says
        assert all(name.startswith("ct-") for name in ids(facts, finding.cases))


def _chosen(number: int, options: list[str], answer: str, **changes: Any) -> Case:
    fields = {"case_id": f"case-{number}", "images": (_IMAGE,), "question_type": "organ"}
    return example(0, options=tuple(options), answer=answer, **(fields | changes))


def _questions(count: int, first: float, seed: int = 0) -> list[Case]:
    """Questions with four options in chance order; a share `first` has the answer in front."""
    draw = random.Random(seed)
    cases = []
    for number in range(count):
        options = draw.sample(_WORDS, 4)
        answer = options[0] if draw.random() < first else draw.choice(options)
        cases.append(_chosen(number, options, answer))
    return cases


def test_a_letter_that_is_right_too_often(tmp_path: Path) -> None:
    with facts_of(tmp_path, _questions(300, first=0.4)) as facts:
        [finding] = option_order(facts, RECIPE)
        assert finding.key == ("starter", "4", "A") and "chance 0.25" in finding.says
        lenient = ValidationRecipe(max_order_bias=0.5)
        assert not list(option_order(facts, lenient))


def test_shuffled_options_and_few_questions_are_no_finding(tmp_path: Path) -> None:
    with facts_of(tmp_path / "fair", _questions(300, first=0.0)) as facts:
        assert not list(option_order(facts, RECIPE))
    with facts_of(tmp_path / "few", _questions(12, first=1.0)) as facts:
        assert not list(option_order(facts, RECIPE))


def test_lists_in_a_fixed_order_are_judged_by_their_answers(tmp_path: Path) -> None:
    cases = [_chosen(n, ["yes", "no"], "yes") for n in range(60)]
    with facts_of(tmp_path, cases) as facts:
        assert not list(option_order(facts, RECIPE))
        assert [each.kind for each in frequent_answers(facts, RECIPE)] == ["answer_share"]
    both = [_chosen(n, [["yes", "no"], ["no", "yes"]][n % 2], "yes" if n % 2 == 0 else "no")
            for n in range(60)]  # fmt: skip
    with facts_of(tmp_path / "shuffled", both) as facts:
        assert [each.key[2] for each in option_order(facts, RECIPE)] == ["A"]


def _drift(one: dict[str, int], two: dict[str, int]) -> list[str]:
    return [found.says for found in drift({"modality": one}, {"modality": two}, RECIPE)]


def test_a_distribution_that_moved() -> None:
    [said] = _drift({"CT": 500, "MRI": 500}, {"CT": 700, "MRI": 300})
    assert "total variation 0.20" in said and "1000 cases before" in said
    assert "Jensen-Shannon 0.03 bit" in said


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"CT": 500, "MRI": 500}, {"CT": 600, "MRI": 400}),  # less than max_drift
        ({"CT": 8, "MRI": 12}, {"CT": 14, "MRI": 7}),  # as chance has it
        ({"CT": 5}, {"MRI": 5}),  # too few to say
        ({}, {"MRI": 500}),  # a new question type is no drift of its answers
    ],
)
def test_what_is_no_drift(one: dict[str, int], two: dict[str, int]) -> None:
    assert not _drift(one, two)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 10_000), min_size=1))
def test_nothing_drifts_from_itself(counts: dict[str, int]) -> None:
    assert not _drift(counts, counts)


def test_drift_is_read_from_a_version_or_its_validation(tmp_path: Path) -> None:
    write_cases(tmp_path / "data", "set", data_set())
    now = distributions_of(tmp_path / "data")
    assert now["modality"] == {"CT": 10, "histology": 10}
    assert now["answers to modality"] == {"CT": 10, "histology": 10}
    kept = tmp_path / "distributions.json"
    kept.write_text(json.dumps({"distributions": now}))
    assert read_before(tmp_path / "data") == read_before(kept) == now
    kept.write_text("[]")
    with pytest.raises(BadDataError, match="distributions.json has no distributions"):
        read_before(kept)
