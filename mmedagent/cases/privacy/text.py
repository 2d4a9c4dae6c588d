"""Personal data in questions and answers: found by rules, replaced by its kind in brackets."""

import hashlib
from collections import Counter, OrderedDict
from dataclasses import dataclass, field

import regex

from mmedagent.cases.privacy.identifiers import find_identifiers
from mmedagent.cases.privacy.names import find_names
from mmedagent.cases.privacy.spans import Span, merge, plain
from mmedagent.recipes.privacy import PrivacyRecipe

_REMEMBERED = 50_000
_MOST_PASSES = 8
_NOTHING_POSSIBLE = regex.compile(r"[\"'(¿]?[A-Z]?[a-z ,?!()'&/-]*[.?!]?")
"""One capital at the beginning, no digit, no colon, no `@`: only the first word may be a name."""
_WORDS = regex.compile(r"\b(?:dr|mr|mrs|prof|doctor|dot)\b|ninety|hundred", regex.IGNORECASE)


@dataclass(frozen=True)
class Scrubbed:
    """A text without what was found in it."""

    text: str
    """`[name]`, `[date]`, ... stand where something was found."""
    counts: Counter[str] = field(default_factory=Counter)
    """Kind -> how many were found."""


class TextScrubber:
    """Finds personal data in text; one instance a process, built once.

    It remembers what it made of the last 50 000 different texts by their digest: the questions of
    a benchmark repeat. Neither the texts nor what was found in them is kept.
    """

    def __init__(self, recipe: PrivacyRecipe) -> None:
        self._off = recipe.question_text == "keep"
        self._seen: OrderedDict[bytes, Scrubbed | None] = OrderedDict()

    def scrub(self, text: str) -> Scrubbed:
        """Return `text` with everything found replaced; unchanged bytes where nothing was.

        What the recipe's `question_text` says is the caller's to obey for `refuse` (leave the case
        out where `counts` is not empty); for `keep` nothing is looked for. Scrubbing the result
        again changes nothing.
        """
        if self._off or not text:
            return Scrubbed(text)
        key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if key in self._seen:
            self._seen.move_to_end(key)
            return self._seen[key] or Scrubbed(text)
        found = _scrub(text)
        self._seen[key] = found if found.counts else None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return found


def _scrub(text: str) -> Scrubbed:
    counts: Counter[str] = Counter()
    # A mask changes what its neighbours stand beside, so look again until nothing is found.
    for _ in range(_MOST_PASSES):
        spans = find(text)
        if not spans:
            break
        counts.update(span.kind for span in spans)
        text = _masked(text, spans)
    return Scrubbed(text, counts)


def find(text: str) -> list[Span]:
    """Return the disjoint spans of `text` that hold personal data, in order."""
    simple = _NOTHING_POSSIBLE.fullmatch(text) is not None and not _WORDS.search(text)
    if simple:
        return merge(find_names(text))
    form = plain(text)
    spans: list[Span] = []
    if any(letter.isnumeric() or letter in "@.:" for letter in form.text) or _WORDS.search(text):
        spans += _checksummed(form.text)
        spans += find_identifiers(form.text)
    spans += find_names(form.text)
    return merge(form.original(span) for span in spans if span.end > span.start)


def _checksummed(text: str) -> list[Span]:
    if sum(letter.isdigit() for letter in text) < 8:
        return []
    from mmedagent.cases.privacy.checksums import find_checksummed

    return list(find_checksummed(text))


def _masked(text: str, spans: list[Span]) -> str:
    parts: list[str] = []
    done = 0
    for span in spans:
        parts += [text[done : span.start], f"[{span.kind}]"]
        done = span.end
    return "".join([*parts, text[done:]])
