"""People's names in text, by rules: titles and labels in many languages, and unknown words.

No model of names can be had offline, so what is in no vocabulary and written like a name is taken
for one. `docs/privacy.md` has what this costs and what it misses.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import regex

from mmedagent.cases.privacy.name_cues import CUES, PARTICLES
from mmedagent.cases.privacy.spans import Span
from mmedagent.cases.privacy.vocabulary import also_a_name, eponyms, is_known, words_of

KIND = "name"
_TOKEN = regex.compile(
    r"\p{L}[\p{L}\p{M}]*(?:['\-·]\p{L}[\p{L}\p{M}]*)*(?:\d+[\p{L}\d]*|\.)?|\d[\p{L}\d.,/-]*|[^\s\p{L}\d]"
)
_CAPITAL = regex.compile(r"\p{Lu}")
_MIXED = regex.compile(r"\p{Lu}\p{M}*(?:['\-·]?\p{Lu})?[\p{Ll}\p{M}]")
_ENDS_SENTENCE = frozenset(".?!:;\"'([{«¿¡„|/\n")
_LEAST_TITLE_SHARE = 0.6
_LONG_CAPITALS = 5
"""Letters from which a word all in capitals is no abbreviation."""


@dataclass(frozen=True)
class _Token:
    text: str
    start: int
    end: int
    opens: bool
    """Stands at the beginning of the text or of a sentence."""

    @property
    def capital(self) -> bool:
        return bool(_CAPITAL.match(self.text))

    @property
    def initial(self) -> bool:
        """`J.`, or a lone capital letter."""
        return self.capital and len(self.text.rstrip(".")) == 1


def find_names(text: str) -> Iterator[Span]:
    """Yield spans of `text` (plain form) that are taken for people's names; they may overlap."""
    for cue in CUES:
        if cue.needs is not None and not any(word in text for word in cue.needs):
            continue
        for match in cue.pattern.finditer(text):
            start = match.start("name")
            if kept := cue.keeps(match):
                yield Span(start, start + kept, KIND)
    yield from _unknown_words(text)


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    opens = True
    for match in _TOKEN.finditer(text):
        word = match.group()
        is_word = word[0].isalpha()
        if is_word and word.endswith(".") and not (len(word) == 2 and word[0].isupper()):
            found.append(_Token(word[:-1], match.start(), match.end() - 1, opens))
            found.append(_Token(".", match.end() - 1, match.end(), False))
            opens = True
            continue
        found.append(_Token(word, match.start(), match.end(), opens))
        opens = not is_word and (word in _ENDS_SENTENCE or (opens and not word[0].isalnum()))
    return found


def _unknown_words(text: str) -> Iterator[Span]:
    tokens = _tokens(text)
    words = [token for token in tokens if token.text[0].isalpha()]
    if not any(token.capital for token in words):
        return
    manner = _Manner.of(words)
    run: list[_Token] = []
    first = 0
    for index, token in enumerate([*tokens, None]):
        if token is not None and run and token.text == ",":
            continue
        if token is not None and token.text[0].isalpha() and _joins(run, token, text):
            run.append(token)
            continue
        if run:
            yield from _names_in(run, tokens[:first], tokens[index:], manner)
        run, first = ([token], index) if token is not None and token.capital else ([], index)


def _joins(run: list[_Token], token: _Token, text: str) -> bool:
    """Say whether `token` goes on with the run of capitalised words before it."""
    if not run or token.opens:
        return False
    between = text[run[-1].end : token.start]
    if between not in (" ", "", ", ") or (between == ", " and not token.capital):
        return False
    return token.capital or token.text.lower() in PARTICLES


@dataclass(frozen=True)
class _Manner:
    """How a text uses capitals."""

    titles: bool
    """Most words have one: a heading, an option, or all capitals."""
    english: bool
    german: bool
    """Nouns have one, so that a capital says nothing."""

    @classmethod
    def of(cls, words: list[_Token]) -> "_Manner":
        long = [token for token in words if len(token.text) > 3]
        capitals = sum(token.capital for token in long)
        lower = {token.text.lower() for token in words}
        return cls(
            titles=len(long) > 1 and capitals >= _LEAST_TITLE_SHARE * len(long),
            english=bool(lower & words_of("english")),
            german=bool(lower & words_of("german")),
        )


def _names_in(
    run: list[_Token], before: list[_Token], after: list[_Token], manner: _Manner
) -> Iterator[Span]:
    """Yield the part of a run of capitalised words that is taken for a name, if any."""
    while run and not run[-1].capital:  # a particle that nothing follows
        run = run[:-1]
    opening = run[0].text.lower() if run and run[0].opens else ""
    if opening and (manner.german or opening in words_of("openers") | words_of("eponym_heads")):
        run, before = run[1:], [*before, run[0]]
    strange = [index for index, token in enumerate(run) if is_strange(token.text)]
    named = [
        index for index, token in enumerate(run) if index in strange or _may_be_name(token.text)
    ]
    if not strange:
        if not run:
            return
        yield from _ordinary_name(run, before, after, manner)
        return
    if _is_eponym(run, before, after, strange):
        return
    # Two ordinary surnames make a name of each other's unknown word: from the first to the last.
    first = min(index for index in named if index >= strange[0] - 1)
    last = max(index for index in named if index <= strange[-1] + 1)
    while first > 0 and run[first - 1].initial:
        first -= 1
    while last + 1 < len(run) and run[last + 1].initial:
        last += 1
    single = len(strange) == 1 and first == last
    if single and (manner.german or manner.titles):
        return
    if single and run[first].opens and not manner.english:
        return
    yield Span(run[first].start, run[last].end, KIND)


def _ordinary_name(
    run: list[_Token], before: list[_Token], after: list[_Token], manner: _Manner
) -> Iterator[Span]:
    """Yield `Grace` of "Does Grace have ...": a word that is a name only by its capital."""
    if manner.titles or manner.german or len(run) > 3:
        return
    names = [token for token in run if also_a_name(token.text.lower().removesuffix("'s"))]
    if not names or any(token.opens for token in names) or _is_eponym(run, before, after, [0]):
        return
    if any(token.text.lower().removesuffix("'s") in eponyms() for token in names):
        return
    if all(token in names or token.initial for token in run):
        yield Span(run[0].start, run[-1].end, KIND)


def _may_be_name(word: str) -> bool:
    """Say whether a known word may be a part of a name beside an unknown one."""
    lower = word.lower().removesuffix("'s")
    return also_a_name(lower) or lower in eponyms() - words_of("brands") - words_of("places")


def _is_eponym(
    run: list[_Token], before: list[_Token], after: list[_Token], strange: list[int]
) -> bool:
    """Say whether one unknown word names a thing: `Zuska syndrome`, `maladie de Blount`."""
    if len(strange) > 1:
        return False
    rest = [token.text.lower() for token in run[strange[0] + 1 :]]
    following = [*rest, *(token.text.lower() for token in after[:2])]
    nouns = words_of("eponym_nouns")
    if any(word in nouns for word in following[:2] if word != "."):
        return True
    heads = [token.text.lower() for token in before[-3:] if token.text[0].isalpha()]
    return any(word in words_of("eponym_heads") for word in heads)


@lru_cache(maxsize=65_536)
def is_strange(word: str) -> bool:
    """Say whether a capitalised word is in no vocabulary, so that it may be a name."""
    bare = word.removesuffix("'s").removesuffix("'")
    if regex.search(r"\d", bare):  # PaCO2, V600E
        return False
    if len(bare) <= _LONG_CAPITALS and len(_CAPITAL.findall(bare)) > 1 and not bare.isupper():
        return "'" in bare  # TdT and HbA are abbreviations, D'Ar is none
    if len(bare.rstrip(".")) < 2:
        return False
    if not _MIXED.match(bare) and (not bare.isupper() or len(bare) < _LONG_CAPITALS):
        return False
    parts = regex.split(r"[-'·]", bare.lower())
    long = [part for part in parts if len(part) > 2] or parts
    if bare.lower() in eponyms():
        return False
    return not all(is_known(part) for part in long) and not is_known("".join(parts))
