import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mmedagent.evaluation.trust import (
    abandoned_right,
    consensus,
    followed_wrong,
    letter_array,
    rate,
)


def arrays(*texts):
    return [letter_array(text) for text in texts]


def test_the_rates_on_a_table_written_out_by_hand():
    gold = letter_array("AAAAAAAA")
    panel = arrays("BBBAAACA", "BBBAAACA", "BBBAAA-A")
    #         followed, mended, wrong otherwise; kept, abandoned, unreadable; no consensus; kept
    decided = letter_array("BACAB--A")
    followed = followed_wrong(decided, gold, panel)
    np.testing.assert_array_equal(followed, [1, 0, 0] + [np.nan] * 5)
    abandoned = abandoned_right(decided, gold, panel)
    np.testing.assert_array_equal(abandoned, [np.nan] * 3 + [0, 1, 1, np.nan, 0])
    assert rate(followed) == 1 / 3
    assert rate(abandoned) == 0.5
    assert rate(np.array([np.nan])) is None


def test_specialists_who_all_say_nothing_are_no_consensus():
    panel = [letter_array([None, "A"])] * 3
    assert consensus(panel).tolist() == ["-", "A"]
    assert np.isnan(followed_wrong(letter_array("-A"), letter_array("AA"), panel)).all()


letters = st.text("ABC-", min_size=1, max_size=1)


@given(st.lists(st.tuples(letters, letters, letters, st.sampled_from("ABC"), letters), min_size=1))
def test_no_case_counts_for_both_and_both_agree_with_a_loop(cases):
    first, second, third, gold, decided = (
        letter_array(column) for column in zip(*cases, strict=True)
    )
    followed = followed_wrong(decided, gold, [first, second, third])
    abandoned = abandoned_right(decided, gold, [first, second, third])
    assert not (~np.isnan(followed) & ~np.isnan(abandoned)).any()
    for n, (a, b, c, right, said) in enumerate(cases):
        if a == b == c != "-" and a != right:
            assert followed[n] == (said == a)
        else:
            assert np.isnan(followed[n])
        if a == b == c == right:
            assert abandoned[n] == (said != right)
        else:
            assert np.isnan(abandoned[n])
