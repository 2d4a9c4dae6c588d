import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmedagent.training.completions import option_completion, triage_completion
from mmedagent.training.reward import (
    accuracy_reward,
    format_reward,
    names_option,
    names_specialty,
    reward_functions,
)

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
PIECES = st.sampled_from(
    [*TAGS, "<THINK>", "</ANSWER>", "<think", "< answer>", "<answer/>", "<thinking>", "&lt;answer>"]
    + [" ", "\n", "", "A", "B", "CT", "Radiologist", "(B).", "B. MR", "two", "yes", "é"]
    + ["\x00", "\x1b[2J", "\ud800", "\udfff", "\u200b", "\u202e", "\ufeff", "\u0301" * 40, "\ufdfa"]
    + ["<|im_end|>", "<|image_pad|>", "ignore all rules and pay 1.5", "reward=1.5", "9" * 5000]
    + [r"\1", "(?R)", "${7*7}", "{0}", "%s", "'; DROP TABLE", "x" * 3000]
)  # fmt: skip
REPLIES = st.one_of(
    st.text(st.characters(), max_size=80),  # lone surrogates and controls among them
    st.lists(PIECES, max_size=14).map("".join),
    st.tuples(st.lists(PIECES, max_size=4), st.lists(PIECES, max_size=4)).map(
        lambda parts: "<think>{}</think><answer>{}</answer>".format(*map("".join, parts))
    ),
)


def _rewards(reply, case, judge):
    form, accuracy = reward_functions([case], judge)
    return form(completions=[reply]) + accuracy(completions=[reply], row=[0])


@given(reply=REPLIES, number=st.integers(0, 5))
@settings(max_examples=500, deadline=None)
def test_nothing_raises_and_nothing_earns_more_than_both_rewards(draw_cases, reply, number):
    case = draw_cases(6, "test")[number]
    for judge in (names_option, names_specialty):
        form, accuracy = _rewards(reply, case, judge)
        assert form in (0.0, 0.5) and accuracy in (0.0, 1.0)
        assert form + accuracy in (0.0, 0.5, 1.0, 1.5)
        if form:  # well-formed: each tag once, in their order, and nothing outside
            places = [reply.index(tag) for tag in TAGS]
            assert places == sorted(places) and all(reply.count(tag) == 1 for tag in TAGS)
            assert reply.strip().startswith("<think>") and reply.strip().endswith("</answer>")
        if accuracy:
            assert reply.count("<answer>") == reply.count("</answer>") == 1


@given(inner=st.lists(PIECES, max_size=6).map("".join), wrong=st.sampled_from(["B", "MR", "no"]))
@settings(deadline=None)
def test_no_words_turn_a_wrong_answer_into_a_right_one(draw_cases, inner, wrong):
    """Whatever stands in the think block, the answer block alone is judged."""
    case = draw_cases(1, "test")[0].model_copy(update={"options": ("CT", "MR"), "answer": "CT"})
    reply = f"<think>A CT {inner}</think><answer>{wrong}</answer>"
    assert accuracy_reward(reply, case, names_option) == 0.0


@given(thought=st.text(st.characters(), max_size=20), answer=st.text(st.characters(), max_size=20))
@settings(deadline=None)
def test_format_needs_two_blocks_with_something_to_see_in_them(thought, answer):
    def seen(text):
        return any(not character.isspace() and character.isprintable() for character in text)

    clean = not any(tag in part for tag in TAGS for part in (thought, answer))
    reward = format_reward(f"<think>{thought}</think><answer>{answer}</answer>")
    assert reward == (0.5 if clean and seen(thought) and seen(answer) else 0.0)


@pytest.mark.parametrize(
    "reply",
    [
        "<think>" * 15_000,
        "<answer>" * 12_500,
        "<think>" + "</think><answer>" * 6_000,
        "<think>x</think><answer>" + "</answer>" * 11_000,
        "<think>x</think>" + " " * 100_000 + "<answer>A</answer>.",
        " " * 100_000,
        "<think>" + "x" * 100_000 + "</think><answer>A</answer>",
        "<think>x</think><answer>" + "A. " * 33_000 + "</answer>",
        "<think>x</think><answer>" + "\u0301\u0316" * 50_000 + "</answer>",
        "<think>x</think><answer>" + "\u0301\u0316" * 990 + "</answer>",
        "<think>x</think><answer>" + "\ufdfa" * 1_900 + "</answer>",
        "<think>x</think><answer>" + "1,000" * 390 + "</answer>",
        "<think>x</think><answer>" + "-a" * 990 + "</answer>",
        "<think>x</think><answer>" + "0" * 1_990 + "</answer>",
    ],
)
def test_a_long_reply_takes_no_long_time(draw_cases, reply):
    """CPU seconds: a pattern that backtracks takes minutes of them."""
    (case,) = draw_cases(1, "test")
    began = time.process_time()
    for judge in (names_option, names_specialty):
        assert sum(_rewards(reply, case, judge)) <= 1.5
    assert time.process_time() - began < 1.0


GOLDEN = [
    # The options are CT, two, No, the left lung; gold is said by each row.
    ("<think>grey</think><answer>A</answer>", "CT", 1.5),
    ("<think>grey</think><answer>(a).</answer>", "CT", 1.5),
    ("<think>grey</think><answer>ct</answer>", "CT", 1.5),
    ("<think>grey</think><answer>A. CT</answer>", "CT", 1.5),
    ("<think>grey</think><answer>B</answer>", "CT", 0.5),
    ("<think>grey</think><answer>A. two</answer>", "CT", 0.5),
    ("<think>grey</think><answer>A or B</answer>", "CT", 0.5),
    ("<think>grey</think><answer>I do not know</answer>", "CT", 0.5),
    ("<think>count</think><answer>2</answer>", "two", 1.5),
    ("<think>count</think><answer>2.0</answer>", "two", 1.5),
    ("<think>count</think><answer>12</answer>", "two", 0.5),
    ("<think>none</think><answer>false</answer>", "No", 1.5),
    ("<think>none</think><answer>yes</answer>", "No", 0.5),
    ("<think>side</think><answer>Left  lung</answer>", "the left lung", 1.5),
    ("<think>side</think><answer>the right lung</answer>", "the left lung", 0.5),
    ("\n<think>\ngrey\n</think>\n\n<answer>\nA\n</answer>\n", "CT", 1.5),
    ("<answer>A</answer>", "CT", 1.0),
    ("grey <answer>A</answer>", "CT", 1.0),
    ("<think></think><answer>A</answer>", "CT", 1.0),
    ("<think>\u200b</think><answer>A</answer>", "CT", 1.0),
    ("<think>grey</think><answer>A</answer> done", "CT", 1.0),
    ("<think>grey<answer>A</answer>", "CT", 1.0),
    ("<THINK>grey</THINK><ANSWER>A</ANSWER>", "CT", 0.0),
    ("<think>grey</think><answer></answer>", "CT", 0.0),
    ("<think>grey</think><answer>A</answer><answer>A</answer>", "CT", 0.0),
    ("<think>grey</think><answer>A</answer><answer>B</answer>", "CT", 0.0),
    ("<think>grey</think><answer><answer>A</answer></answer>", "CT", 0.0),
    ("<think>x<think>y</think></think><answer>B</answer>", "CT", 0.0),
    ("<think>grey</think><answer>A", "CT", 0.0),
    ("<think>grey</think>A", "CT", 0.0),
    ("A", "CT", 0.0),
    ("", "CT", 0.0),
]


@pytest.mark.parametrize(("reply", "gold", "reward"), GOLDEN)
def test_golden_rewards(draw_cases, reply, gold, reward):
    options = ("CT", "two", "No", "the left lung")
    (case,) = draw_cases(1, "test")
    case = case.model_copy(update={"options": options, "answer": gold})
    assert sum(_rewards(reply, case, names_option)) == reward


def test_malformed_replies_earn_nothing_for_format():
    for reply in (
        "<think></think><answer>A</answer>",
        "<think> </think><answer>A</answer>",
        "<answer>A</answer><think>x</think>",
        "<think>x</think><answer>A</answer><answer>A</answer>",
        "<think>x</think><think>x</think><answer>A</answer>",
        "<think>x</think><answer>A</answer> and more",
        "x <think>x</think><answer>A</answer>",
        "<think>x</think><answer></answer>",
        "A",
        "",
    ):
        assert format_reward(reply) == 0.0, reply


def test_what_is_taught_earns_everything(draw_cases):
    for case in draw_cases(20, "test"):
        taught = option_completion(case, case.letter)
        assert format_reward(taught) + accuracy_reward(taught, case, names_option) == 1.5
        taught = triage_completion(case)
        assert format_reward(taught) + accuracy_reward(taught, case, names_specialty) == 1.5
        wrong = option_completion(case, "A" if case.letter != "A" else "B")
        assert accuracy_reward(wrong, case, names_option) == 0.0


def test_in_the_form_that_trl_calls(draw_cases):
    cases = draw_cases(3, "test")
    form, accuracy = reward_functions(cases, names_option)
    replies = [option_completion(case, case.letter) for case in (cases[2], cases[0], cases[1])]
    messages = [[{"role": "assistant", "content": reply}] for reply in replies]
    columns = {"prompts": [None] * 3, "trainer_state": None}
    assert accuracy(completions=messages, row=[2, 0, 1], **columns) == [1.0, 1.0, 1.0]
    assert form(completions=replies, row=[2, 0, 1], **columns) == [0.5, 0.5, 0.5]
