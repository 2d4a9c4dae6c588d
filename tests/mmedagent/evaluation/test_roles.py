from collections import Counter

import pytest

from mmedagent.cases.case import SPECIALTIES, Opinion
from mmedagent.consultation.consult import Decision
from mmedagent.consultation.doctor import Sampling
from mmedagent.errors import UsageError
from mmedagent.evaluation.roles import gold_roles, merge_roles, random_roles
from mmedagent.evaluation.votes import sample_decisions, vote
from tests.mmedagent.evidence import KnownDoctor, KnownPanel, make_cases


def opinion(specialist, role, letter):
    return Opinion(
        specialist=specialist, role=role, letter=letter, reasoning=role, raw=f"{role} {letter}"
    )


def test_random_roles_are_uniform_over_seven_and_hang_on_the_case_alone():
    cases = make_cases(700)
    roles = random_roles(cases, 3)
    counts = Counter(roles)
    assert set(counts) == set(SPECIALTIES)
    expected = len(cases) / 7
    assert all(abs(count - expected) < 5 * expected**0.5 for count in counts.values())
    assert random_roles(cases[10:20], 3) == roles[10:20]
    assert random_roles(cases, 4) != roles
    # Drawn without looking at gold: right about one time in seven.
    hits = sum(a == b for a, b in zip(roles, gold_roles(cases), strict=True))
    assert abs(hits - expected) < 5 * expected**0.5


def test_each_specialist_brings_the_letter_that_most_of_its_roles_chose():
    letters = {  # not in the paper's order on purpose
        "Dermatologist": ("B", None),
        "Radiologist": ("C", None),
        "Pathologist": ("B", "D"),
    }
    said = {
        role: [(opinion("left", role, left), opinion("right", role, right))]
        for role, (left, right) in letters.items()
    }
    [(left, right)] = merge_roles(said)
    assert (left.letter, left.role, left.raw) == ("B", "Pathologist", "Pathologist B")
    assert (right.letter, right.role) == ("D", "Pathologist")


def test_a_tie_goes_to_the_specialty_first_in_the_papers_order():
    said = {
        "Surgeon": [(opinion("left", "Surgeon", "B"),)],
        "Radiologist": [(opinion("left", "Radiologist", "C"),)],
    }
    [(merged,)] = merge_roles(said)
    assert (merged.letter, merged.role) == ("C", "Radiologist")
    [(silent,)] = merge_roles({"Surgeon": [(opinion("left", "Surgeon", None),)]})
    assert silent.letter is None


def test_merging_refuses_what_does_not_belong_together():
    one = (opinion("left", "Surgeon", "B"),)
    other = (opinion("right", "Oncologist", "B"),)
    with pytest.raises(ValueError, match="left, right"):
        merge_roles({"Surgeon": [one], "Oncologist": [other]})
    with pytest.raises(ValueError):
        merge_roles({"Surgeon": [one, one], "Oncologist": [one]})
    with pytest.raises(ValueError, match="no role"):
        merge_roles({})


def test_a_panel_merged_over_its_roles_is_three_opinions():
    cases = make_cases(20)
    questions = [case.view() for case in cases]
    panel = KnownPanel(cases)
    said = {role: panel.opinions(questions, [role] * len(cases)) for role in SPECIALTIES}
    merged = merge_roles(said)
    assert panel.asked == 7 * len(cases)
    assert [len(each) for each in merged] == [3] * len(cases)
    for number, each in enumerate(merged):
        for place, heard in enumerate(each):
            letters = Counter(said[role][number][place].letter for role in SPECIALTIES)
            assert letters[heard.letter] == max(letters.values())


def decision(letter):
    return Decision(letter=letter, reasoning=f"because {letter}", raw=f"raw {letter}")


def test_the_vote_is_the_letter_most_drawn_with_its_agreement():
    letters = [("A", "B"), ("C", None), ("C", None)]
    draws = [[decision(letter) for letter in draw] for draw in letters]
    first, second = vote(draws)
    assert (first.letter, first.agreement, first.raw) == ("C", 2 / 3, "raw C")
    assert (second.letter, second.agreement) == ("B", 1 / 3)
    assert second.ballots == ("B", None, None)


def test_a_vote_beats_the_draws_it_is_made_of():
    cases = make_cases(60)
    questions = [case.view() for case in cases]
    doctor = KnownDoctor(cases, "voter", 0.75, "attending")
    draws = sample_decisions(
        questions, [()] * len(cases), doctor, Sampling(temperature=1.0, seed=5), "compact", 9
    )
    assert len(draws) == 9 and all(len(draw) == len(cases) for draw in draws)

    def share(decisions):
        pairs = zip(decisions, cases, strict=True)
        return sum(d.letter == case.letter for d, case in pairs) / len(cases)

    single = sum(map(share, draws)) / 9
    assert share(vote(draws)) > single + 0.1


def test_a_vote_needs_ballots_that_differ():
    with pytest.raises(UsageError, match="temperature above 0"):
        sample_decisions([], [], KnownDoctor([], "x", 1, "attending"), Sampling(), "compact", 3)
