from collections.abc import Sequence

import pytest

from mmedagent.cases.case import Opinion, Question, Specialty
from mmedagent.consultation.consult import FALLBACK_SPECIALTY, consult, majority_vote
from mmedagent.consultation.doctor import Prompt, Sampling
from mmedagent.consultation.prompts import (
    attending_messages,
    prompts_digest,
    specialist_messages,
    triage_messages,
)
from mmedagent.errors import PanelError

QUESTION = Question(image=b"image", question="Which modality?", options=("CT", "MR"))


class Scripted:
    """A doctor that says what it was given and remembers what it was asked."""

    def __init__(self, *replies: str) -> None:
        self.replies = list(replies)
        self.asked: list[str] = []

    def reply(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        self.asked += [prompt.messages[0]["content"][1]["text"] for prompt in prompts]
        return [self.replies.pop(0) for _ in prompts]


class Experts:
    """A panel whose three members answer B, A, B, in the role they are asked in."""

    def __init__(self) -> None:
        self.roles: list[Specialty] = []

    def opinions(
        self, questions: Sequence[Question], roles: Sequence[Specialty]
    ) -> list[tuple[Opinion, ...]]:
        self.roles += roles
        return [tuple(_opinion(letter, role) for letter in "BAB") for role in roles]


def _opinion(letter: str | None, role: Specialty = "Radiologist") -> Opinion:
    return Opinion(specialist="one", role=role, letter=letter, reasoning="seen", raw="raw")


def test_the_panel_answers_in_the_role_that_triage_chose_and_the_attending_hears_it() -> None:
    triage = Scripted("<think>pink</think><answer>Pathologist</answer>")
    attending = Scripted("<think>CT</think><answer>A</answer>")
    panel = Experts()
    [record] = consult([QUESTION], triage, panel, attending, Sampling(), "compact")
    assert panel.roles == ["Pathologist"]
    assert record.specialty == record.role == "Pathologist"
    assert (record.letter, record.reasoning) == ("A", "CT")
    assert attending.asked == ["attending: Which modality? A CT B MR opinions: 1 B 2 A 3 B"]
    assert set(record.seconds) == {"triage", "panel", "attending"}


def test_an_unreadable_triage_reply_is_kept_as_none_and_the_fallback_is_asked() -> None:
    panel = Experts()
    [record] = consult(
        [QUESTION], Scripted("hm"), panel, Scripted("no format"), Sampling(), "compact"
    )
    assert record.specialty is None and record.letter is None
    assert panel.roles == [FALLBACK_SPECIALTY]


def test_a_panel_that_fails_is_not_replaced_by_silence() -> None:
    class Down:
        def opinions(
            self, questions: Sequence[Question], roles: Sequence[Specialty]
        ) -> list[tuple[Opinion, ...]]:
            raise PanelError("specialist one is down")

    with pytest.raises(PanelError, match="one is down"):
        consult([QUESTION], Scripted("x"), Down(), Scripted("x"), Sampling(), "compact")


def test_no_questions_ask_nobody() -> None:
    assert consult([], Scripted(), Experts(), Scripted(), Sampling(), "compact") == []


@pytest.mark.parametrize(
    ("letters", "winner"),
    [
        (["A", "B", "B"], "B"),
        (["A", "B", "C"], "A"),
        ([None, "C", None], "C"),
        ([None, None, None], None),
    ],
)
def test_majority_vote(letters: list[str | None], winner: str | None) -> None:
    assert majority_vote([_opinion(letter) for letter in letters]) == winner


def test_full_prompts_carry_what_each_role_needs() -> None:
    opinions = [_opinion("B"), _opinion(None)]
    triage = triage_messages(QUESTION, "full")[0]["content"][1]["text"]
    specialist = specialist_messages(QUESTION, "Surgeon", "full")[0]["content"][1]["text"]
    attending = attending_messages(QUESTION, opinions, "full")[0]["content"][1]["text"]
    assert "Endocrinologist" in triage and "<think>" in triage
    assert "experienced Surgeon" in specialist and "A. CT\nB. MR" in specialist
    assert "Specialist 1 (Radiologist): B. seen" in attending and "no opinion" in attending


def test_styles_have_different_digests() -> None:
    assert prompts_digest("compact") != prompts_digest("full")
    assert prompts_digest("compact") == prompts_digest("compact")
