import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmedagent.consultation.vote import count_votes

BALLOTS = st.lists(st.sampled_from(["A", "B", "C", None]), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("ballots", "letter", "agreement"),
    [
        ("AAB", "A", 2 / 3),
        ("BA", "B", 0.5),  # a tie: the one cast first, not the one first in the alphabet
        ("CABABC", "C", 2 / 6),
        ("-A-B-A", "A", 2 / 6),  # unreadable replies lower the agreement
        ("---A", "A", 0.25),  # and never win
        ("--", None, 0.0),
        ("", None, 0.0),
    ],
)
def test_the_rules(ballots: str, letter: str | None, agreement: float) -> None:
    tally = count_votes([None if ballot == "-" else ballot for ballot in ballots])
    assert (tally.letter, tally.agreement) == (letter, pytest.approx(agreement))


@given(BALLOTS)
def test_the_winner_has_a_most_votes_and_the_first_of_them(ballots: list[str | None]) -> None:
    tally = count_votes(ballots)
    votes = {letter: ballots.count(letter) for letter in ballots if letter is not None}
    if tally.letter is None:
        assert not votes and tally.agreement == 0
        return
    most = max(votes.values())
    assert votes[tally.letter] == most and tally.agreement == most / len(ballots)
    tied = [letter for letter in ballots if letter is not None and votes[letter] == most]
    assert tally.letter == tied[0] and ballots.index(tally.letter) == tally.winner


@given(BALLOTS, st.permutations("ABC"))
def test_no_letter_is_favoured(ballots: list[str | None], names: list[str]) -> None:
    renamed = dict(zip("ABC", names, strict=True))
    before = count_votes(ballots)
    after = count_votes([renamed.get(ballot or "") for ballot in ballots])
    assert after.letter == renamed.get(before.letter or "")
    assert after.agreement == before.agreement
