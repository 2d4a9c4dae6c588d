"""The reward: R = R_format + R_accuracy (METHOD, section 'Training'). Nothing here raises.

A completion earns 0, 0.5, 1 or 1.5. The two parts are independent, as in the paper: a malformed
completion with exactly one answer block can still earn the accuracy, so that a policy that has yet
to learn the format is told which answers are right; with no answer block, or two, it answered
nothing. Which texts are the same answer: `mmedagent.consultation.normalise`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from mmedagent.cases.case import Case
from mmedagent.consultation.parsing import match_option, match_specialty, parse_reply

FORMAT_REWARD = 0.5
ACCURACY_REWARD = 1.0

Judge = Callable[[str | None, Case], bool]
"""Says whether an answer, as parsed, is right for a case."""
RewardFunction = Callable[..., list[float]]
"""What TRL calls: `prompts`, `completions`, then the data set's columns, by keyword."""


def format_reward(reply: str) -> float:
    """Return 0.5 for one non-empty think block, then one non-empty answer block; else 0.

    Empty blocks earn nothing, or the model learns to skip thinking.
    """
    return FORMAT_REWARD if parse_reply(reply).well_formed else 0.0


def accuracy_reward(reply: str, case: Case, judge: Judge) -> float:
    """Return 1 if the reply's one answer is right for `case`; else 0."""
    return ACCURACY_REWARD if judge(parse_reply(reply).answer, case) else 0.0


def names_specialty(answer: str | None, case: Case) -> bool:
    """Judge a triage answer: it must name the gold specialty."""
    return match_specialty(answer) == case.specialty


def names_option(answer: str | None, case: Case) -> bool:
    """Judge an attending answer: it must name the gold option, by letter, text or both."""
    return match_option(answer, case.options) == case.letter


def reward_functions(cases: Sequence[Case], judge: Judge) -> list[RewardFunction]:
    """Return the two rewards in the form TRL calls; column `row` is a case's place in `cases`."""

    def accuracy(completions: list[Any], row: list[int], **_: Any) -> list[float]:
        pairs = zip(completions, row, strict=True)
        return [accuracy_reward(_text(reply), cases[number], judge) for reply, number in pairs]

    def form(completions: list[Any], **_: Any) -> list[float]:
        return [format_reward(_text(reply)) for reply in completions]

    form.__name__ = "format"
    return [form, accuracy]


def _text(completion: Any) -> str:
    """TRL hands a conversational completion over as a list of one assistant message."""
    return completion if isinstance(completion, str) else str(completion[0]["content"])
