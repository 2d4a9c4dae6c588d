import io

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmedagent.cases.case import LETTERS, Opinion
from mmedagent.consultation.consult import Consultation
from mmedagent.evaluation.baselines import (
    grey_image,
    majority_rows,
    permutation,
    permuted,
    restored,
    wrong_roles,
)
from tests.mmedagent.evidence import make_cases

CASES = make_cases(12)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(CASES), st.integers(0, 10_000), st.data())
def test_permuted_letters_come_back_as_the_same_options(case, seed, data):
    order = permutation(case, seed)
    question = permuted(case, order)
    assert sorted(question.options) == sorted(case.options)
    assert question.options != case.options
    letter = data.draw(st.sampled_from([*question.letters, None]))
    opinion = Opinion(specialist="a", role="Surgeon", letter=letter, reasoning="", raw="")
    said = Consultation(
        specialty=None,
        triage_reasoning="",
        triage_raw="",
        opinions=(opinion,),
        letter=letter,
        reasoning="",
        raw="",
        seconds={},
    )
    back = restored(said, order)
    if letter is None:
        assert back.letter is None and back.opinions[0].letter is None
    else:
        meant = question.options[LETTERS.index(letter)]
        assert case.options[LETTERS.index(back.letter)] == meant
        assert back.opinions[0].letter == back.letter


def test_the_permutation_is_the_same_every_time():
    assert [permutation(c, 1) for c in CASES] == [permutation(c, 1) for c in CASES]
    assert [permutation(c, 1) for c in CASES] != [permutation(c, 2) for c in CASES]


def test_a_grey_image_keeps_size_and_nothing_else():
    greys = {grey_image(case.images[0]) for case in CASES}
    assert len(greys) == 1
    with Image.open(io.BytesIO(greys.pop())) as image:
        assert image.size == (84, 84)
        assert len(image.getcolors()) == 1


def test_wrong_roles_are_wrong_and_occur():
    roles = wrong_roles(CASES)
    present = {case.specialty for case in CASES}
    assert all(role != case.specialty for role, case in zip(roles, CASES, strict=True))
    assert set(roles) <= present
    alone = [case for case in CASES if case.specialty == "Radiologist"]
    assert set(wrong_roles(alone)) == {"Surgeon"}


def test_the_majority_counts_no_opinion_as_silence():
    case = CASES[0]
    letters = [None, "B", None]
    said = tuple(
        Opinion(specialist=str(n), role="Surgeon", letter=letter, reasoning="", raw="")
        for n, letter in enumerate(letters)
    )
    (row,) = majority_rows([case], [said])
    assert row["letter"] == "B"
    (silent,) = majority_rows([case], [said[:1]])
    assert silent["letter"] is None and silent["correct"] is False
