import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmedagent.consultation.normalise import normalise


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CT", "ct"),
        ("STRASSE", "straße"),
        ("ＭＲ", "mr"),
        ("ﬁbula", "fibula"),
        ("Ⓑ", "b"),
        ("r\N{ZERO WIDTH SPACE}ight", "right"),
        ("\N{RIGHT-TO-LEFT MARK}left", "left"),
        ("na\N{LATIN SMALL LETTER I WITH DIAERESIS}ve", "nai\N{COMBINING DIAERESIS}ve"),
        ("T2-weighted", "T2 weighted"),
        ("X\N{NON-BREAKING HYPHEN}ray", "x ray"),
        ("\N{MINUS SIGN}2", "-2"),
        ("2\N{EN DASH}3", "2-3"),
        ("Crohn\N{RIGHT SINGLE QUOTATION MARK}s", "crohn's"),
        ("\N{LEFT DOUBLE QUOTATION MARK}yes\N{RIGHT DOUBLE QUOTATION MARK}", "yes"),
        ("  left \n\t lung ", "left lung"),
        ("left\N{NO-BREAK SPACE}lung", "left lung"),
        ("left lung.", "left lung"),
        ("The left lung", "left lung"),
        ("an abscess", "abscess"),
        ("two", "2"),
        ("Twelve", "12"),
        ("twenty-one", "21"),
        ("ninety nine", "99"),
        ("two nodules", "2 nodules"),
        ("2.0", "2"),
        ("02", "2"),
        ("0.50", ".5"),
        ("\N{ARABIC-INDIC DIGIT THREE}", "3"),
        ("1,000", "1000"),
        ("12,345,678.90", "12345678.9"),
        ("1½", "1 1/2"),
        ("True", "yes"),
        ("FALSE.", "no"),
    ],
)
def test_these_are_the_same_answer(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("10²", "102"),
        ("1½", "11/2"),
        ("pâle", "pale"),
        ("-2", "2"),
        ("2-3", "2 3"),
        ("2-3", "23"),
        ("1,5", "1.5"),
        ("1,5", "15"),
        ("1 000", "1000"),
        ("1.10", "1.10.0"),
        ("one hundred", "100"),
        ("second", "2"),
        ("II", "2"),
        ("twenty", "twenty one"),
        ("20 1", "21"),
        ("5 mg", "5 g"),
        ("y", "yes"),
        ("n", "no"),
        ("true lumen", "yes lumen"),
        ("a", ""),
        ("vitamin a", "vitamin"),
        ("A B", "B"),
        ("left the lung", "left lung"),
        ("CT\x00", "CT"),
        ("?", "!"),
        ("...", ""),
    ],
)
def test_these_are_not(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


anything = st.text(st.characters(), max_size=60)  # lone surrogates among them


@given(anything)
def test_nothing_raises_and_case_blanks_and_encoding_never_matter(text: str) -> None:
    normal = normalise(text)
    assert normal == " ".join(normal.split())
    assert normalise(f" {text}\n") == normal
    assert normalise(normalise(normal)) == normalise(normal)
    assert normalise(unicodedata.normalize("NFD", text)) == normalise(
        unicodedata.normalize("NFC", text)
    )


@given(st.integers(0, 10**9))
def test_a_number_is_the_same_however_it_is_written(number: int) -> None:
    for text in (f"{number:,}", f"{number}.0", f"0{number}", f"{number}.", f"the {number}"):
        assert normalise(text) == normalise(str(number)) or text.startswith("the ") and number < 10


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_different_numbers_are_different(one: int, other: int) -> None:
    assert (normalise(f"{one:,}") == normalise(f"{other:,}.00")) == (one == other)
