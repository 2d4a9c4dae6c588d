"""The consultation: triage, independent opinions, decision. The one implementation there is.

Evaluation and serving both call `consult`, so that what was measured is what is served.
Source: METHOD, section 'The consultation'.
"""

import time
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from mmedagent.cases.case import Opinion, Question, Specialty
from mmedagent.consultation.doctor import Doctor, Panel, Prompt, Sampling
from mmedagent.consultation.parsing import match_option, match_specialty, parse_reply
from mmedagent.consultation.prompts import Style, attending_messages, triage_messages
from mmedagent.consultation.vote import count_votes
from mmedagent.digests import digest_value
from mmedagent.errors import UsageError

FALLBACK_SPECIALTY: Specialty = "Radiologist"
"""Whom the panel answers as when triage named no specialty; `Consultation.specialty` stays None."""
VOTE_TEMPERATURE = 1.0
"""At which decisions are drawn for a vote: the training's, so that the policy that GRPO trained is
the one that votes."""


class Consultation(BaseModel):
    """What was said and decided about one question."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    specialty: Specialty | None
    """The specialty that triage named; None when its reply named none."""
    triage_reasoning: str
    triage_raw: str
    opinions: tuple[Opinion, ...]
    letter: str | None
    """The attending's decision; None when its reply could not be read as an option."""
    reasoning: str
    """Of a vote: the reasoning of the first ballot for the decision; so `raw`."""
    raw: str
    ballots: tuple[str | None, ...] = ()
    """The letters of the sampled decisions, in the order drawn; empty without a vote."""
    agreement: float | None = None
    """The share of the ballots that chose `letter`, as confidence; None without a vote."""
    seconds: dict[str, float]
    """Seconds per stage (`triage`, `panel`, `attending`), the batch's divided by its size."""

    @property
    def role(self) -> Specialty:
        """The specialty that the panel answered as."""
        return self.specialty or FALLBACK_SPECIALTY


class Routing(BaseModel):
    """What triage said of one question."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    specialty: Specialty | None
    reasoning: str
    raw: str

    @property
    def role(self) -> Specialty:
        """The specialty that the panel is asked to answer as."""
        return self.specialty or FALLBACK_SPECIALTY


class Decision(BaseModel):
    """What the attending physician decided; the fields are those of `Consultation`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    letter: str | None
    reasoning: str
    raw: str
    ballots: tuple[str | None, ...] = ()
    agreement: float | None = None


def route(
    questions: Sequence[Question], triage: Doctor, sampling: Sampling, style: Style
) -> list[Routing]:
    """Let the triage doctor name one specialty for each question."""
    prompts = [Prompt(triage_messages(q, style), q.images) for q in questions]
    routings = []
    for raw in triage.reply(prompts, sampling):
        reply = parse_reply(raw)
        specialty = match_specialty(reply.answer)
        routings.append(Routing(specialty=specialty, reasoning=reply.reasoning, raw=raw))
    return routings


def decide(
    questions: Sequence[Question],
    opinions: Sequence[Sequence[Opinion]],
    attending: Doctor,
    sampling: Sampling,
    style: Style,
) -> list[Decision]:
    """Let the attending physician decide each question, given its opinions."""
    prompts = [
        Prompt(attending_messages(question, said, style), question.images)
        for question, said in zip(questions, opinions, strict=True)
    ]
    decisions = []
    for question, raw in zip(questions, attending.reply(prompts, sampling), strict=True):
        reply = parse_reply(raw)
        letter = match_option(reply.answer, question.options)
        decisions.append(Decision(letter=letter, reasoning=reply.reasoning, raw=raw))
    return decisions


def decide_by_vote(
    questions: Sequence[Question],
    opinions: Sequence[Sequence[Opinion]],
    attending: Doctor,
    sampling: Sampling,
    style: Style,
    votes: int,
) -> list[Decision]:
    """Draw `votes` decisions on each question, on the same opinions, and let the majority decide.

    Empty opinions make it the vote of a doctor alone. A question's draws depend on
    `sampling.seed` and on the question, not on what else is asked with it. The rules of counting
    are `count_votes`'. Raises `UsageError` without votes, or at temperature 0, where all ballots
    would be one.
    """
    if votes < 1 or sampling.temperature == 0:
        raise UsageError(
            f"a vote needs one ballot or more and a temperature above 0, not {votes} at "
            f"{sampling.temperature}"
        )
    decisions = []
    for question, said in zip(questions, opinions, strict=True):
        drawn = sampling.model_copy(update={"seed": _vote_seed(sampling.seed, question)})
        cast = decide([question] * votes, [said] * votes, attending, drawn, style)
        ballots = tuple(decision.letter for decision in cast)
        tally = count_votes(ballots)
        decisions.append(
            cast[tally.winner].model_copy(update={"ballots": ballots, "agreement": tally.agreement})
        )
    return decisions


def _vote_seed(seed: int, question: Question) -> int:
    """Give each question random streams of its own: 48 bits, which any generator takes."""
    asked = [seed, question.image_digest, question.question, list(question.options)]
    return int(digest_value(asked)[:12], 16)


def consult(
    questions: Sequence[Question],
    triage: Doctor,
    panel: Panel,
    attending: Doctor,
    sampling: Sampling,
    style: Style,
    votes: int = 1,
) -> list[Consultation]:
    """Consult on each question: one specialty, the panel's opinions in it, one decision.

    The panel is asked once for the whole batch, so that its requests run in parallel. Errors of
    the panel pass through: an answer without opinions is never invented.

    With `votes` above 1 (test-time scaling: METHOD, section 'Inference') the decision is the
    majority of as many draws at `VOTE_TEMPERATURE`; triage and panel are asked once all the same.
    """
    if not questions:
        return []
    started = time.perf_counter()
    routings = route(questions, triage, sampling, style)
    routed = time.perf_counter()
    opinions = panel.opinions(questions, [routing.role for routing in routings])
    heard = time.perf_counter()
    if votes == 1:
        decisions = decide(questions, opinions, attending, sampling, style)
    else:
        drawn = sampling.model_copy(update={"temperature": VOTE_TEMPERATURE})
        decisions = decide_by_vote(questions, opinions, attending, drawn, style, votes)
    decided = time.perf_counter()
    seconds = {
        "triage": (routed - started) / len(questions),
        "panel": (heard - routed) / len(questions),
        "attending": (decided - heard) / len(questions),
    }
    return [
        Consultation(
            specialty=routing.specialty,
            triage_reasoning=routing.reasoning,
            triage_raw=routing.raw,
            opinions=tuple(said),
            letter=decision.letter,
            reasoning=decision.reasoning,
            raw=decision.raw,
            ballots=decision.ballots,
            agreement=decision.agreement,
            seconds=seconds,
        )
        for routing, said, decision in zip(routings, opinions, decisions, strict=True)
    ]


def majority_vote(opinions: Sequence[Opinion]) -> str | None:
    """Return the letter most specialists chose; of tied letters the one named first; None if none.

    'First' is in the panel's fixed order, so the vote is deterministic.
    """
    return count_votes([opinion.letter for opinion in opinions]).letter
