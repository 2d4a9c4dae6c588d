import socket
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmedagent.cases.privacy import text as text_module
from mmedagent.cases.privacy.text import TextScrubber
from mmedagent.cases.privacy.vocabulary import also_a_name, words_of
from mmedagent.recipes.privacy import PrivacyRecipe
from tests.mmedagent.cases.privacy.planted import left_over, load, pieces, planted_texts

SCRUBBER = TextScrubber(PrivacyRecipe())
CORPUS = list(planted_texts())
CLEAN = load("clean")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def test_the_corpus_has_two_hundred_texts_in_nine_scripts() -> None:
    import unicodedata

    scripts = {unicodedata.name(c).split()[0] for _, _, p in CORPUS for c in p if c.isalpha()}
    assert len(CORPUS) >= 200
    assert scripts >= {
        "LATIN",
        "CYRILLIC",
        "GREEK",
        "CJK",
        "KATAKANA",
        "HANGUL",
        "ARABIC",
        "HEBREW",
        "DEVANAGARI",
    }


@pytest.mark.parametrize(("kind", "text", "planted"), CORPUS)
def test_a_planted_identifier_is_caught_whole(kind: str, text: str, planted: str) -> None:
    scrubbed = SCRUBBER.scrub(text)
    assert left_over(planted, scrubbed.text) == []
    assert sum(scrubbed.counts.values()) > 0
    assert not any(left_over(planted, counted) for counted in scrubbed.counts)


def test_kinds_are_counted_and_named_in_the_text() -> None:
    scrubbed = SCRUBBER.scrub("MRN 00482913, DOB 12 Aug 1947: did Adaeze Nwachukwu fall?")
    assert scrubbed.text == "MRN [record number], DOB [date]: did [name] fall?"
    assert scrubbed.counts == Counter({"record number": 1, "date": 1, "name": 1})


def test_the_rules_know_none_of_the_planted_names() -> None:
    for kind, _, planted in CORPUS:
        if kind == "name":
            for piece in pieces(planted):
                assert piece not in words_of("given_names") and not also_a_name(piece), piece


@pytest.mark.parametrize("text", CLEAN["eponyms"])
def test_eponyms_survive(text: str) -> None:
    assert SCRUBBER.scrub(text).text == text


def test_medical_questions_stay_byte_for_byte() -> None:
    masked = [text for text in CLEAN["questions"] if SCRUBBER.scrub(text).text != text]
    assert masked == []


@given(
    st.lists(
        st.sampled_from([text for _, text, _ in CORPUS] + CLEAN["questions"]),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from([" ", "\n", "; ", " - "]),
)
@settings(max_examples=60, deadline=None)
def test_scrubbing_twice_is_scrubbing_once(texts: list[str], between: str) -> None:
    once = SCRUBBER.scrub(between.join(texts)).text
    again = SCRUBBER.scrub(once)
    assert again.text == once and not again.counts


@given(st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_text_can_be_scrubbed_and_twice_is_once(text: str) -> None:
    once = SCRUBBER.scrub(text)
    assert once.counts or once.text == text
    assert SCRUBBER.scrub(once.text).text == once.text


def test_what_is_remembered_is_bounded_and_holds_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "_REMEMBERED", 10)
    scrubber = TextScrubber(PrivacyRecipe())
    for number in range(30):
        scrubber.scrub(f"MRN 004829{number:02}: a mass?")
    assert len(scrubber._seen) == 10
    assert not any("004829" in str(value) for value in scrubber._seen.values())
    assert not any(b"004829" in key for key in scrubber._seen)
    assert scrubber.scrub("MRN 00482929: a mass?") is scrubber.scrub("MRN 00482929: a mass?")


def test_keep_looks_for_nothing() -> None:
    keep = TextScrubber(PrivacyRecipe(question_text="keep"))
    assert keep.scrub("MRN 00482913").text == "MRN 00482913"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("a 3.2 x 4.1 cm mass at L4-L5 on T2 at 1.5 T", False),
        ("a 89-year-old", False),
        ("a 90-year-old", True),
        ("for 95 days", False),
        ("in 2019", False),
        ("in May 2019", True),
        ("the lesion may 2 months later", False),
        ("platelets 250000/µL", False),
        ("case 2", False),
        ("case 20731", True),
    ],
)
def test_where_the_line_runs(text: str, masked: bool) -> None:
    assert bool(SCRUBBER.scrub(text).counts) is masked
