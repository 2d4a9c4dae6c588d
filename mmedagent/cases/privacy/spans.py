"""What recognisers give: spans of a text, and the plain form of a text that they search."""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """Characters `start` to `end` (excluded) hold something of `kind`."""

    start: int
    end: int
    kind: str


class PlainText(NamedTuple):
    """A text in the form that rules are written for, and where its characters came from."""

    text: str
    origin: Sequence[int]
    """For each character the index in the original text, and one more for the end."""

    def original(self, span: Span) -> Span:
        """Return `span` in the original's indices."""
        return Span(self.origin[span.start], self.origin[span.end - 1] + 1, span.kind)


_DASHES = dict.fromkeys(map(ord, "‐‑‒–—−﹣－"), "-")
_QUOTES = dict.fromkeys(map(ord, "’‘ʼ＇´`"), "'") | dict.fromkeys(map(ord, "“”„״＂"), '"')
_PLAIN = _DASHES | _QUOTES


def plain(text: str) -> PlainText:
    """Return `text` with digits, letters, spaces, dashes and quotes in their plain form.

    Full-width forms become ASCII, digits of every script 0 to 9, invisible characters (zero width,
    direction marks, soft hyphens) vanish, so that none of them hides a number from a rule.
    """
    if text.isascii():
        return PlainText(text, range(len(text) + 1))
    letters: list[str] = []
    origin: list[int] = []
    for index, letter in enumerate(text):
        for form in _plain_form(letter):
            letters.append(form)
            origin.append(index)
    origin.append(len(text))
    return PlainText("".join(letters), origin)


def _plain_form(letter: str) -> str:
    if letter.isascii():
        return letter
    if (known := _PLAIN.get(ord(letter))) is not None:
        return known
    category = unicodedata.category(letter)
    if category == "Cf":
        return ""
    if category == "Nd":
        return str(unicodedata.digit(letter))
    if category == "Zs":
        return " "
    if 0xFF01 <= ord(letter) <= 0xFF5E:
        return unicodedata.normalize("NFKC", letter)
    return letter


def merge(spans: Iterable[Span]) -> list[Span]:
    """Return disjoint spans in order; of those that overlap the first given names the kind."""
    merged: list[tuple[Span, int]] = []
    ranked = [(span, rank) for rank, span in enumerate(spans)]
    for span, rank in sorted(ranked, key=lambda pair: (pair[0].start, -pair[0].end)):
        if not merged or span.start >= merged[-1][0].end:
            merged.append((span, rank))
            continue
        last, first = merged[-1]
        kind = span.kind if rank < first else last.kind
        merged[-1] = Span(last.start, max(last.end, span.end), kind), min(rank, first)
    return [span for span, _ in merged]
