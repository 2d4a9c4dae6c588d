"""Options are built by digest from the train split alone, and answers resolved or refused."""

import json
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmedagent.cases.multiple_choice import (
    OPTIONS,
    Vocabulary,
    _drawn,
    offered,
    options_for,
    parse_options,
    plain_form,
    resolve_answer,
)
from mmedagent.cases.sources.contract import SourceCase
from mmedagent.errors import BadDataError


def question(answer: str, key: str = "k", **changes: object) -> SourceCase:
    fields: dict[str, object] = {
        "row": "table.json[3]",
        "key": key,
        "images": (),
        "question": "What is seen?",
        "answer": answer,
        "answer_type": "closed",
        "question_type": "organ",
        "modality": "CT",
        "subject": "s",
        "split": "train",
        "attributes": {"language": "en"},
    }
    return SourceCase(**(fields | changes))  # type: ignore[arg-type]


ORGANS = ["liver", "Lungs", "heart", "spleen", "kidney", "brain", "bladder"]
vocabulary = Vocabulary().update(question(organ) for organ in ORGANS)
words = st.text(st.characters(categories=["L", "N", "P", "Z"]), min_size=1, max_size=12).filter(
    lambda word: plain_form(word)
)


@pytest.mark.parametrize("answer", ["yes", "Yes", "NO"])
def test_yes_and_no_are_always_in_that_order(answer: str) -> None:
    assert options_for(question(answer), Vocabulary(), 0) == ("yes", "no")
    assert resolve_answer(answer, ("yes", "no"), "row") == answer.lower()


def test_yes_and_no_in_chinese() -> None:
    assert options_for(question("不是"), Vocabulary(), 0) == ("是", "不是")
    assert options_for(question("有"), Vocabulary(), 0) == ("有", "没有")


@pytest.mark.parametrize(
    ("asked", "answer", "expected"),
    [
        ("Is the lesion on the left or the right?", "Right", ("left", "right")),
        (
            "is the mass hyperintense or hypointense?",
            "hypointense",
            ("hyperintense", "hypointense"),
        ),
        ("Which is bigger in this image,the lung or the liver?", "Liver", ("lung", "liver")),
        ("Is it axial, coronal, or sagittal?", "axial", ("axial", "coronal", "sagittal")),
        ("Is it the right lung or the left lung?", "left lung", ("right lung", "left lung")),
        ("Is the mass solid or fluid filled?", "fluid filled", ()),
        ("Is this one or the other?", "neither", ()),
        ("Or?", "or", ()),
    ],
)
def test_what_a_question_offers(asked: str, answer: str, expected: tuple[str, ...]) -> None:
    assert offered(asked, answer) == expected
    if expected:
        assert options_for(question(answer, question=asked), vocabulary, 0) == expected
        assert resolve_answer(answer, expected, "row") in expected


@given(st.integers(0, 50), st.text(min_size=1, max_size=8))
def test_built_options_are_the_answer_and_distractors(seed: int, key: str) -> None:
    options = options_for(question("Liver.", key), vocabulary, seed)
    assert len(options) == OPTIONS and options.count("Liver.") == 1
    assert "liver" not in options  # the same thing is no distractor
    assert set(options) - {"Liver."} <= set(ORGANS)
    assert options == options_for(question("Liver.", key), vocabulary, seed)


@given(st.lists(words, max_size=12), words, st.integers(0, 3))
def test_no_two_options_mean_the_same(answers: list[str], answer: str, seed: int) -> None:
    known = Vocabulary().update(question(each) for each in answers)
    options = options_for(question(answer), known, seed)
    assert options == () or answer.casefold() in ("yes", "no") or answer in options
    forms = [set(plain_form(option).split()) for option in options]
    clash = [a for n, a in enumerate(forms) for m, b in enumerate(forms) if n != m and a <= b]
    assert not clash and len(options) != 1


def test_keys_and_seeds_spread_the_answer_over_the_places() -> None:
    places = Counter(
        options_for(question("liver", f"q{n}"), vocabulary, 0).index("liver") for n in range(400)
    )
    assert set(places) == set(range(OPTIONS)) and min(places.values()) > 60
    by_seed = {options_for(question("liver"), vocabulary, seed) for seed in range(20)}
    assert len(by_seed) > 10


def test_only_closed_train_answers_without_options_are_vocabulary() -> None:
    known = Vocabulary().update(
        [
            question("aorta", split="test"),
            question("vein", split="validation"),
            question("free words", answer_type="open"),
            question("given", options=("given", "other")),
            question("yes"),
            question("trachea"),
        ]
    )
    assert known.counts == {"en/organ": {"trachea": 1}}
    assert options_for(question("aorta", split="test"), known, 0) in (
        ("aorta", "trachea"),
        ("trachea", "aorta"),
    )


def test_other_kinds_and_languages_give_no_distractors() -> None:
    assert options_for(question("axial", question_type="plane"), vocabulary, 0) == ()
    assert options_for(question("liver", attributes={"language": "zh"}), vocabulary, 0) == ()


def test_open_questions_get_no_options_and_given_ones_keep_their_order() -> None:
    assert options_for(question("liver", answer_type="open"), vocabulary, 0) == ()
    given_options = ("z", "a", "liver")
    assert options_for(question("liver", options=given_options), vocabulary, 0) == given_options


def test_the_vocabulary_is_bounded() -> None:
    known = Vocabulary().update(question(f"organ{n}") for n in range(5_200))
    assert len(known.counts["en/organ"]) == 5_000
    known.add(question("Organ7"))
    assert known.counts["en/organ"]["organ7"] == 2


def test_long_answers_and_too_many_kinds_are_no_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmedagent.cases.multiple_choice._MOST_IN_ALL", 3)
    known = Vocabulary().update(question(f"organ{n}", question_type=f"t{n}") for n in range(5))
    known.add(question("word " * 50))
    assert list(known.counts) == ["en/t0", "en/t1", "en/t2"]


def test_every_answer_is_drawn_once() -> None:
    stock = [f"organ{n}" for n in range(100)]
    orders = [list(_drawn(stock, seed, "key")) for seed in range(3)]
    assert all(sorted(order) == sorted(stock) for order in orders)
    assert orders[0] != orders[1] != orders[2]


def test_another_process_builds_the_same_options() -> None:
    """Python's own hash differs from process to process."""
    code = (
        "import json; from tests.mmedagent.cases.test_multiple_choice import *;"
        "print(json.dumps([options_for(question('liver', f'q{n}'), vocabulary, 7)"
        " for n in range(20)]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "4711", "PYTHONPATH": ":".join([".", *sys.path])},
    )
    ours = [list(options_for(question("liver", f"q{n}"), vocabulary, 7)) for n in range(20)]
    assert json.loads(run.stdout) == ours


@pytest.mark.parametrize(
    ("answer", "options", "expected"),
    [
        ("b", ["CT", "MRI"], "MRI"),
        ("(A)", ["CT", "MRI"], "CT"),
        ("C.", ["x", "y", "z"], "z"),
        ("mri.", ["CT", "MRI"], "MRI"),
        ("masses", ["mass", "cyst"], "mass"),
        ("A", ["B", "A"], "A"),  # an option's text goes before a letter
    ],
)
def test_an_answer_is_an_options_text_or_its_letter(
    answer: str, options: list[str], expected: str
) -> None:
    assert resolve_answer(answer, options, "row") == expected


@pytest.mark.parametrize(
    ("answer", "options", "message"),
    [
        ("PET", ["CT", "MRI"], "matches none of the 2 options; give"),
        ("C", ["CT", "MRI"], "matches none"),
        ("ct", ["CT", "Ct"], "matches 2 options; make them differ"),
        ("", ["CT", "MRI"], "matches none"),
    ],
)
def test_an_answer_of_no_or_two_options_is_refused_by_row(
    answer: str, options: list[str], message: str
) -> None:
    with pytest.raises(BadDataError, match=rf"^cases.csv row 17: the answer {message}") as caught:
        resolve_answer(answer, options, "cases.csv row 17")
    assert caught.value.exit_code == 13
    assert "PET" not in str(caught.value)


@given(st.lists(st.text(max_size=20), max_size=6))
def test_option_lists_are_read_as_json_and_as_python_writes_them(options: list[str]) -> None:
    stripped = tuple(option.strip() for option in options)
    assert parse_options(json.dumps(options), "row") == stripped
    assert parse_options(repr(options), "row") == stripped


@pytest.mark.parametrize(
    "text",
    ["CT, MRI", "", "{'a': 1}", "[['a'], 'b']", "__import__('os')", "[" * 9000, "[1" + "0" * 30000],
)
def test_a_text_that_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(BadDataError, match="^row 3: options are a text that is no list; write"):
        parse_options(text, "row 3")
