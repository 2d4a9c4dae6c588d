"""Votes over sampled decisions: one attending asked N times. METHOD, section 'Inference'."""

from collections.abc import Sequence

from mmedagent.cases.case import Opinion, Question
from mmedagent.consultation.consult import Decision, decide
from mmedagent.consultation.doctor import Doctor, Sampling
from mmedagent.consultation.prompts import Style
from mmedagent.consultation.vote import count_votes
from mmedagent.errors import UsageError
from mmedagent.progress import tell


def sample_decisions(
    questions: Sequence[Question],
    opinions: Sequence[Sequence[Opinion]],
    attending: Doctor,
    sampling: Sampling,
    style: Style,
    votes: int,
    name: str = "vote",
) -> list[list[Decision]]:
    """Return `votes` draws, each of one decision a question; draw n has the seed `sampling.seed`+n.

    Draws of all questions are made side by side, which is several times quicker than
    `decide_by_vote`, question by question: same distribution, other draws.
    Raises `UsageError` without votes, or at temperature 0, where all ballots would be one.
    """
    if votes < 1 or sampling.temperature == 0:
        raise UsageError(
            f"a vote needs one ballot or more and a temperature above 0, not {votes} at "
            f"{sampling.temperature}"
        )
    draws = []
    for number in range(votes):
        tell(number, votes, f"{name}: sampled decisions")
        drawn = sampling.model_copy(update={"seed": sampling.seed + number})
        draws.append(decide(questions, opinions, attending, drawn, style))
    return draws


def vote(draws: Sequence[Sequence[Decision]]) -> list[Decision]:
    """Return each question's majority decision out of draws [votes][questions].

    Counted by `count_votes`: its reasoning and raw reply are those of the first ballot for the
    winner, its `agreement` the winner's share of all ballots.
    """
    decisions = []
    for cast in zip(*draws, strict=True):
        ballots = tuple(decision.letter for decision in cast)
        tally = count_votes(ballots)
        won = cast[tally.winner]
        decisions.append(won.model_copy(update={"ballots": ballots, "agreement": tally.agreement}))
    return decisions
