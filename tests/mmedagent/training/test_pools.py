from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from mmedagent.cases.case import Opinion
from mmedagent.training.balance import pick, thin
from mmedagent.training.permute import permute


def _specialty(case):
    return case.specialty


@given(limit=st.floats(1, 4), seed=st.integers(0, 1000), count=st.integers(1, 60))
@settings(deadline=None, max_examples=50)
def test_thinning_bounds_the_imbalance_and_loses_nothing_rare(draw_cases, limit, seed, count):
    cases = draw_cases(60, "train")[:count]
    kept = thin(cases, _specialty, limit, seed)
    before, after = Counter(map(_specialty, cases)), Counter(map(_specialty, kept))
    assert max(after.values()) <= max(1, int(min(before.values()) * limit))
    assert min(after.values()) == min(before.values()) and set(after) == set(before)
    assert [case for case in cases if case in kept] == kept
    assert kept == thin(cases, _specialty, limit, seed)


@given(count=st.integers(0, 80), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_picking_takes_classes_in_turn(draw_cases, count, seed):
    cases = draw_cases(60, "train")
    picked = pick(cases, _specialty, count, seed)
    assert len(picked) == min(count, 60) == len({case.case_id for case in picked})
    counts, available = Counter(map(_specialty, picked)), Counter(map(_specialty, cases))
    full = [counts[name] for name in available if counts[name] < available[name]]
    assert not full or max(full) - min(full) <= 1


def test_no_cases_no_cases():
    assert thin([], _specialty, 2.0, 0) == [] == pick([], _specialty, 5, 0)


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=60)
def test_permuting_keeps_what_is_true(draw_cases, seed):
    case = draw_cases(3, "train")[seed % 3]
    letters = [*case.view().letters, None, "Z"]
    opinions = [
        Opinion(specialist="s", role="Surgeon", letter=letter, reasoning="", raw="")
        for letter in letters
    ]
    shuffled, said = permute(case, opinions, seed)
    assert shuffled.answer == case.answer and sorted(shuffled.options) == sorted(case.options)
    for before, after in zip(opinions[:-2], said, strict=False):
        options = dict(zip(shuffled.view().letters, shuffled.options, strict=True))
        assert (
            options[after.letter] == dict(zip(letters, case.options, strict=False))[before.letter]
        )
    assert said[-2].letter is None and said[-1].letter is None
    assert (shuffled, said) == permute(case, opinions, seed)
