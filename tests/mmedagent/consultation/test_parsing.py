import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmedagent.cases.case import SPECIALTIES
from mmedagent.consultation.parsing import match_option, match_specialty, parse_reply

OPTIONS = ("CT", "MR", "X-ray", "histology")
PIECES = st.lists(
    st.one_of(
        st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", "B", " ", "\n"]),
        st.text(max_size=8),
    ),
    max_size=12,
).map("".join)


def test_a_well_formed_reply_is_read_whole() -> None:
    reply = parse_reply("<think> grey </think>\n<answer> B </answer>")
    assert (reply.reasoning, reply.answer, reply.well_formed) == ("grey", "B", True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "B",
        "<answer>B</answer>",
        "<think></think><answer>B</answer>",
        "<think> \n</think><answer>B</answer>",
        "<think>x</think><answer></answer>",
        "<think>x</think><answer>B</answer> and more",
        "before <think>x</think><answer>B</answer>",
        "<think>x</think><think>y</think><answer>B</answer>",
        "<think>x<think>y</think></think><answer>B</answer>",
        "<think>x</think><answer>A</answer><answer>B</answer>",
        "<answer>B</answer><think>x</think>",
        "<think>x<answer>A</answer></think><answer>B</answer>",
    ],
)
def test_malformed_replies_are_not_well_formed(text: str) -> None:
    assert not parse_reply(text).well_formed


def test_two_answers_name_none() -> None:
    assert parse_reply("<think>x</think><answer>A</answer><answer>B</answer>").answer is None


@given(PIECES)
def test_anything_can_be_read_without_an_error(text: str) -> None:
    reply = parse_reply(text)
    if reply.well_formed:
        assert reply.reasoning and reply.answer
        assert text.count("<think>") == text.count("<answer>") == 1
    match_option(reply.answer, OPTIONS)
    match_specialty(reply.answer)


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        (" b ", "B"),
        ("(B)", "B"),
        ("B.", "B"),
        ("B. MR", "B"),
        ("mr", "B"),
        ("X-RAY", "C"),
        ("B. CT", None),
        ("E", None),
        ("ultrasound", None),
        ("", None),
        (None, None),
        ("A or B", None),
    ],
)
def test_an_answer_names_one_option_or_none(answer: str | None, letter: str | None) -> None:
    assert match_option(answer, OPTIONS) == letter


def test_an_options_text_wins_over_a_letter() -> None:
    assert match_option("A", ("B", "A")) == "B"


@pytest.mark.parametrize("specialty", SPECIALTIES)
def test_specialties_are_found_whatever_their_case(specialty: str) -> None:
    assert match_specialty(f" {specialty.upper()}. ") == specialty
    assert match_specialty(specialty + " or another") is None
