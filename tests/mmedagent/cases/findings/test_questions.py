"""Hidden test cases, shared subjects, contradictions, questions that tell their answer."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmedagent.cases.case import Case, Pool
from mmedagent.cases.facts import Facts
from mmedagent.cases.findings.finding import Finding
from mmedagent.cases.findings.pictures import near_duplicates, same_images, same_pixels
from mmedagent.cases.findings.questions import (
    answers_in_questions,
    contradictions,
    hidden_cases,
    subjects_in_pools,
)
from mmedagent.cases.wording import gives_away, key_of, normalised
from tests.mmedagent.cases.examples import example, noise
from tests.mmedagent.cases.findings.small import RECIPE, again, facts_of, ids


def _hidden(facts: Facts) -> list[Finding]:
    for check in (same_images(facts), same_pixels(facts), near_duplicates(facts, RECIPE)):
        list(check)
    return list(hidden_cases(facts))


@pytest.mark.parametrize("how", ["same bytes", "same pixels", "JPEG", "scaled"])
@pytest.mark.parametrize("pool", ["train", "warm_start", "panel"])
def test_a_test_case_in_a_learning_pool_under_another_name(
    tmp_path: Path, how: str, pool: Pool
) -> None:
    picture = noise(5, 84)
    copy = {
        "same bytes": picture,
        "same pixels": again(picture, 84, "PNG", compress_level=1),
        "JPEG": again(picture, 84, "JPEG"),
        "scaled": again(picture, 70, "PNG"),
    }[how]
    hidden = example(0, pool, images=(copy,), question="Which  imaging modality IS this")
    others = [example(n, "test") for n in range(1, 4)]
    with facts_of(tmp_path, [example(0, "test", images=(picture,)), hidden, *others]) as facts:
        [finding] = _hidden(facts)
        assert ids(facts, finding.cases) == sorted(["test-0", f"{pool}-0"])
        assert finding.kind == "hidden_case"


@pytest.mark.parametrize(
    ("pool", "changes"),
    [
        ("validation", {}),
        ("train", {"answer": "histology"}),
        ("train", {"question": "Which organ is this?"}),
    ],
)
def test_another_question_answer_or_pool_is_not_hidden(
    tmp_path: Path, pool: Pool, changes: dict[str, Any]
) -> None:
    other = example(0, pool, images=(noise(5),), **changes)
    with facts_of(tmp_path, [example(0, "test", images=(noise(5),)), other]) as facts:
        assert not _hidden(facts)


def test_a_subject_in_two_pools(tmp_path: Path) -> None:
    cases = [
        example(0, "train", subject="one"),
        example(1, "train", subject="one"),
        example(0, "test", subject="one"),
        example(1, "test", subject="two"),
        example(2, "train", subject="two", source="another set"),
    ]
    with facts_of(tmp_path, cases) as facts:
        [finding] = subjects_in_pools(facts)
        assert ids(facts, finding.cases) == ["test-0", "train-0", "train-1"]
        assert {value for _, value in finding.cases} == {"test", "train"}
        assert "2 in train" in finding.says
        assert "one" not in finding.says.split()


def test_a_contradiction(tmp_path: Path) -> None:
    image = (noise(1),)
    cases = [
        example(0, images=image),
        example(0, images=image, case_id="same", question="WHICH imaging modality is this ?"),
        example(0, images=image, case_id="other", answer="histology"),
        example(0, images=image, case_id="else", question="Stained?", answer="histology"),
        example(0, images=(noise(2),), case_id="picture", answer="histology"),
    ]
    for number, answer in enumerate(("left lung", "the left lung, lower lobe")):
        cases.append(
            example(0, images=image, case_id=f"open-{number}", question="Where?", options=(),
                    answer=answer, answer_type="open")
        )  # fmt: skip
    with facts_of(tmp_path, cases) as facts:
        [finding] = contradictions(facts)
        assert len(finding.cases) in (1, 2) and finding.images
        assert "3 cases" in finding.says


@pytest.mark.parametrize(
    ("question", "answer", "options", "expected"),
    [
        ("What does this chest X-ray show?", "chest x-ray", ["chest X-ray", "CT"], True),
        ("Is this a CT or an X-ray of the chest?", "X-ray", ["CT", "X-ray"], False),
        ("Is there pneumonia in the left lung?", "yes", ["yes", "no"], False),
        ("Is there no effusion?", "no", ["yes", "no"], False),
        ("Which organ, the liver, is seen?", "The Liver.", ["the liver", "spleen"], True),
        ("Which organ, liver or spleen?", "liver", ["liver", "spleen"], False),
        ("Which organ, liver or spleen?", "liver", [], False),
        ("The liver is shown; which organ?", "liver", [], True),
        ("Where does the deliverance end?", "liver", ["liver", "spleen"], False),
        ("How many of the 12 ribs?", "12", ["10", "12"], False),
        ("CT of what?", "CT", ["CT", "MRI"], False),
        # A shorter option inside the answer's own words is no second answer.
        ("Is the left lower lobe collapsed?", "left lower lobe", ["lower lobe", "left lower lobe"],
         True),
    ],
)  # fmt: skip
def test_what_gives_the_answer_away(
    question: str, answer: str, options: list[str], expected: bool
) -> None:
    assert gives_away(question, answer, options) is expected


def test_answers_in_questions_are_listed_once(tmp_path: Path) -> None:
    def told(number: int) -> Case:
        return example(number, case_id=f"told-{number}", question="This histology is?",
                       answer="histology")  # fmt: skip

    with facts_of(tmp_path, [told(1), told(3), example(5)]) as facts:
        [finding] = answers_in_questions(facts)
        assert ids(facts, finding.cases) == ["told-1", "told-3"]


@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once or not any(letter.isalnum() for letter in text)


@given(st.lists(st.text(st.characters(categories=["L"]), min_size=4, max_size=8), min_size=2))
def test_keys_tell_texts_apart(words: list[str]) -> None:
    keys = {key_of(word) for word in words}
    assert len(keys) == len({normalised(word) for word in words})
