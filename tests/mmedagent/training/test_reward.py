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

PIECES = st.sampled_from(
    ["<think>", "</think>", "<answer>", "</answer>", " ", "\n", "A", "B", "CT", "Radiologist",
     "", "é", "\x00", "(B).", "<|im_end|>"]
)  # fmt: skip
REPLIES = st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=12).map("".join))


@given(reply=REPLIES)
@settings(max_examples=300, deadline=None)
def test_nothing_raises_and_the_sum_is_bounded(draw_cases, reply):
    for case in draw_cases(2, "test"):
        for judge in (names_option, names_specialty):
            form, accuracy = format_reward(reply), accuracy_reward(reply, case, judge)
            assert form in (0.0, 0.5) and accuracy in (0.0, 1.0)


@given(thought=st.text(max_size=20), answer=st.text(max_size=20))
@settings(deadline=None)
def test_format_needs_two_blocks_with_something_in_them(thought, answer):
    tags = ("<think>", "</think>", "<answer>", "</answer>")
    clean = not any(tag in part for tag in tags for part in (thought, answer))
    reply = f"<think>{thought}</think><answer>{answer}</answer>"
    expected = 0.5 if clean and thought.strip() and answer.strip() else 0.0
    assert format_reward(reply) == expected


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
