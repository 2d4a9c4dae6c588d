"""Counting votes. One rule for specialists' opinions and for sampled decisions.

Source: METHOD, section 'Inference': N sampled decisions of the attending and a majority vote.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Tally:
    """How a vote came out."""

    letter: str | None
    """The letter with most votes; of tied letters the one cast first; None if nobody cast one."""
    agreement: float
    """Votes for `letter` per ballot in [0, 1], unreadable ballots included; 0 without a letter."""
    winner: int
    """The place of the first ballot for `letter`; 0 without a letter."""


def count_votes(ballots: Sequence[str | None]) -> Tally:
    """Count `ballots`, one letter each; None is a reply that named no option.

    None is no candidate and never wins, but it lowers the agreement: a doctor that cannot be read
    is not sure. A tie goes to the letter that was cast first, so the result is a function of the
    ballots in their order, and no letter is favoured for its place in the alphabet.
    """
    letters = [letter for letter in ballots if letter is not None]
    if not letters:
        return Tally(letter=None, agreement=0.0, winner=0)
    # `most_common` keeps equal counts in the order in which they were first met.
    [(letter, votes)] = Counter(letters).most_common(1)
    return Tally(letter, votes / len(ballots), list(ballots).index(letter))
