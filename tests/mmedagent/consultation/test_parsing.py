import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmedagent.cases.case import SPECIALTIES
from mmedagent.consultation.normalise import fold_unicode
from mmedagent.consultation.parsing import match_option, match_specialty, normalise, parse_reply

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


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<answer>B</answer>", "B"),
        ("B because <answer> B </answer> ok", "B"),
        ("<think>x<answer>B</answer>", "B"),
        ("<think></think><answer>B</answer>", "B"),
        ("<answer>B</answer><think>x</think>", "B"),
        ("<think>x</think><answer>B</answer></think>", "B"),
        ("<answer>A</answer><answer>A</answer>", None),
        ("<answer>A</answer></answer>", None),
        ("<answer><answer>A</answer>", None),
        ("</answer>A<answer>", None),
        ("<answer><think>A</think></answer>", None),
        ("<answer>A", None),
        ("<ANSWER>A</ANSWER>", None),
        ("<answer >A</answer>", None),
        ("<answer>​</answer>", None),
        ("answer: A", None),
    ],
)
def test_a_malformed_reply_has_an_answer_if_it_has_one_answer_block(
    text: str, answer: str | None
) -> None:
    reply = parse_reply(text)
    assert (reply.answer, reply.well_formed) == (answer, False)


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


@pytest.mark.parametrize(
    ("answer", "options", "letter"),
    [
        ("A", ("B", "A"), None),  # the letter A, or the text "A"?
        ("A", ("A", "B"), "A"),  # both are the same option
        ("C", ("A", "B"), None),
        ("B. A", ("B", "A"), "B"),
        ("ct", ("CT", "Ct", "MR"), None),  # a text of two options
        ("A. ct", ("CT", "Ct", "MR"), "A"),  # the letter says which
        ("two", ("2", "2.0", "3"), None),
        ("2", ("one", "two", "three"), "B"),
        ("1000", ("1,000", "100"), "A"),
        ("true", ("yes", "no"), "A"),
        ("true", ("yes", "true"), None),
        ("the Left Lung.", ("right lung", "left lung"), "B"),
        ("B) “MR”", OPTIONS, "B"),
        ("Ⓑ", OPTIONS, "B"),
        ("Ｂ‏", OPTIONS, "B"),
        ("B.", ("1", "2"), "B"),
        ("B MR", OPTIONS, None),
        ("Option B", OPTIONS, None),
        ("A, B", OPTIONS, None),
        ("...", ("?", "CT"), None),
        ("?", ("?", "CT"), "A"),
        ("x" * 3000, ("x" * 3000, "y"), None),
        ("A. " + "x" * 1500, ("x" * 1500, "y"), "A"),
    ],
)
def test_nothing_is_guessed(answer: str, options: tuple[str, ...], letter: str | None) -> None:
    assert match_option(answer, options) == letter


@given(
    st.lists(st.text(st.characters(), min_size=1, max_size=6), min_size=2, max_size=6, unique=True),
    st.text(st.characters(), max_size=12),
    st.data(),
)
def test_text_never_names_one_of_two_equal_options(
    options: list[str], answer: str, data: st.DataObject
) -> None:
    answer = data.draw(st.sampled_from([answer, *options]))
    letter = match_option(answer, tuple(options))
    same = [option for option in options if normalise(option) == normalise(answer)]
    if letter is not None and normalise(options[ord(letter) - 65]) == normalise(answer):
        assert len(same) == 1 or letter in fold_unicode(answer).upper()


@pytest.mark.parametrize("specialty", SPECIALTIES)
def test_specialties_are_found_whatever_their_case(specialty: str) -> None:
    assert match_specialty(f" {specialty.upper()}. ") == specialty
    assert match_specialty(specialty + " or another") is None
