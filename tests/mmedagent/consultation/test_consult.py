from collections.abc import Sequence
from random import Random

import pytest

from mmedagent.cases.case import Opinion, Question, Specialty
from mmedagent.consultation.consult import (
    FALLBACK_SPECIALTY,
    consult,
    decide_by_vote,
    majority_vote,
)
from mmedagent.consultation.doctor import Prompt, Sampling
from mmedagent.consultation.prompts import (
    attending_messages,
    prompts_digest,
    specialist_messages,
    triage_messages,
)
from mmedagent.errors import PanelError, UsageError

QUESTION = Question(images=(b"image",), question="Which modality?", options=("CT", "MR"))


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


def _said(letter: str) -> str:
    return f"<think>because {letter}</think><answer>{letter}</answer>"


def test_a_vote_asks_triage_and_panel_once_and_the_attending_often() -> None:
    panel, attending = Experts(), Scripted(*map(_said, "BAA"))
    triage = Scripted(_said("Surgeon"))
    [record] = consult([QUESTION], triage, panel, attending, Sampling(), "compact", votes=3)
    assert panel.roles == ["Surgeon"] and len(triage.asked) == 1
    assert len(set(attending.asked)) == 1 and len(attending.asked) == 3
    assert (record.letter, record.reasoning, record.raw) == ("A", "because A", _said("A"))
    assert record.ballots == ("B", "A", "A") and record.agreement == pytest.approx(2 / 3)


def test_one_consultation_is_the_default_and_no_vote() -> None:
    [record] = consult(
        [QUESTION], Scripted("x"), Experts(), Scripted(_said("B")), Sampling(), "compact"
    )
    assert record.letter == "B" and record.agreement is None and record.ballots == ()


class Drawing:
    """A doctor whose letters are drawn as `LocalDoctor`'s: by seed, prompt and place."""

    def __init__(self) -> None:
        self.temperatures: set[float] = set()

    def reply(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        self.temperatures.add(sampling.temperature)
        texts = [prompt.messages[0]["content"][1]["text"] for prompt in prompts]
        drawn = [Random(f"{sampling.seed} {n} {text}") for n, text in enumerate(texts)]
        return [_said(random.choice("AB")) for random in drawn]


def test_a_vote_does_not_depend_on_what_else_is_asked() -> None:
    other = Question(images=(b"another",), question="Which modality?", options=("CT", "MR"))
    drawn = Sampling(temperature=1.0)

    def vote(*questions: Question) -> dict[bytes, tuple[str | None, ...]]:
        opinions = [[_opinion("A")]] * len(questions)
        decisions = decide_by_vote(questions, opinions, Drawing(), drawn, "compact", 16)
        return {q.images[0]: d.ballots for q, d in zip(questions, decisions, strict=True)}

    alone, together = {**vote(QUESTION), **vote(other)}, vote(other, QUESTION)
    assert alone == together
    assert alone[b"image"] != alone[b"another"]  # streams of their own
    assert {"A", "B"} == set(alone[b"image"])


def test_ballots_are_drawn_at_the_trainings_temperature() -> None:
    attending = Drawing()
    consult([QUESTION], Scripted("x"), Experts(), attending, Sampling(), "compact", votes=4)
    assert attending.temperatures == {1.0}


@pytest.mark.parametrize(("votes", "temperature"), [(0, 1.0), (4, 0.0)])
def test_a_vote_that_is_none_is_refused(votes: int, temperature: float) -> None:
    with pytest.raises(UsageError, match="a vote needs"):
        decide_by_vote(
            [QUESTION], [[]], Drawing(), Sampling(temperature=temperature), "compact", votes
        )
