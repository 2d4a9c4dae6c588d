"""Multiple choice for closed questions: the source's own options, or ones built by a digest.

Nothing here depends on Python's hash, on the order of a set or on another case than the question's
own and the train split's answers: the same release, recipe and seed give the same options.
"""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from mmedagent.cases.case import LETTERS
from mmedagent.cases.sources.contract import SourceCase
from mmedagent.errors import BadDataError

OPTIONS = 4
"""Options of a built question, where the vocabulary has enough."""
_MOST_ANSWERS = 5_000
"""Different answers kept of one question type, far above what the sets have."""
_MOST_IN_ALL = 100_000
"""Different answers kept of all question types: what bounds the vocabulary's memory."""
_LONGEST_ANSWER = 200
"""Characters of an answer that can be another question's option."""
_LONGEST_LIST = 20_000
"""Characters of an option list that comes as a string."""
_POLAR = {
    "yes": ("yes", "no"),
    "no": ("yes", "no"),
    "是": ("是", "不是"),
    "不是": ("是", "不是"),
    "否": ("是", "否"),
    "有": ("有", "没有"),
    "没有": ("有", "没有"),
    "存在": ("存在", "不存在"),
    "不存在": ("存在", "不存在"),
}
_LETTER = re.compile(r"[(\[]?([A-Za-z])[)\].:]?")
_FILLERS = frozenset({
    "a", "an", "the", "in", "on", "at", "of", "to", "is", "are", "or", "and", "this", "that", "it",
    "image",
})  # fmt: skip


@dataclass
class Vocabulary:
    """How often the train split's closed questions of one type have each answer.

    One is built for one source, in a first pass over its train split: the validation and test
    splits add nothing, so that no answer of theirs becomes a train question's option.
    """

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    """Language and question type -> answer as it was first spelled -> how often."""
    _spellings: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    _sorted: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    _total: int = 0

    def add(self, case: SourceCase) -> None:
        """Count the answer of a closed train question that has no options of its own."""
        if case.split != "train" or case.answer_type != "closed" or case.options:
            return
        plain = plain_form(case.answer)
        if not plain or polar(case.answer) or len(case.answer) > _LONGEST_ANSWER:
            return
        kind = _kind(case)
        spellings = self._spellings.get(kind, {})
        if plain not in spellings:
            if len(spellings) >= _MOST_ANSWERS or self._total >= _MOST_IN_ALL:
                return
            self._total += 1
            self._sorted.pop(kind, None)
            self._spellings.setdefault(kind, {})[plain] = case.answer
        spelling = self._spellings[kind][plain]
        self.counts.setdefault(kind, Counter())[spelling] += 1

    def update(self, cases: Iterable[SourceCase]) -> "Vocabulary":
        """Add every case, and return the vocabulary."""
        for case in cases:
            self.add(case)
        return self

    def answers(self, case: SourceCase) -> Sequence[str]:
        """Return the answers of the case's language and question type, in a fixed order."""
        kind = _kind(case)
        if kind not in self._sorted:
            self._sorted[kind] = tuple(sorted(self.counts.get(kind, ())))
        return self._sorted[kind]


def options_for(case: SourceCase, vocabulary: Vocabulary, seed: int) -> tuple[str, ...]:
    """Return a case's options, or none where it is open or none can be built.

    In this order: the source's own, as they stand; `yes` and `no`; the two or more things that the
    question offers ("left or right?") when the answer is one of them, in the question's order; else
    the answer and up to three distractors of its language and question type, drawn and ordered by
    the digest of `seed` and the case's key.
    """
    if case.answer_type == "open":
        return ()
    if case.options:
        return case.options
    asked = polar(case.answer) or offered(case.question, case.answer)
    return asked or _built(case, vocabulary, seed)


def polar(answer: str) -> tuple[str, ...]:
    """Return the two answers of a yes-or-no question, in their order; none for another answer."""
    return _POLAR.get(_loose(answer), ())


def resolve_answer(answer: str, options: Sequence[str], row: str) -> str:
    """Return the one option that an answer means: its text, near enough, or its letter.

    Raises `BadDataError` that names `row`, and nothing of its text, when no or several do.
    """
    for form in (_loose, plain_form):
        wanted = form(answer)
        same = [option for option in options if wanted and form(option) == wanted]
        if len(same) == 1:
            return same[0]
        if same:
            raise BadDataError(f"{row}: the answer matches {len(same)} options; make them differ")
    letter = _LETTER.fullmatch(answer.strip())
    position = LETTERS.index(letter[1].upper()) if letter else len(options)
    if position < len(options):
        return options[position]
    raise BadDataError(
        f"{row}: the answer matches none of the {len(options)} options; give an option's text or"
        " its letter"
    )


def parse_options(text: str, row: str) -> tuple[str, ...]:
    """Read an option list that is a string: JSON, or a Python list as MMMU has it.

    Raises `BadDataError` that names `row` when it is neither, or not a flat list of texts.
    """
    wrong = BadDataError(
        f'{row}: options are a text that is no list; write them as ["first", "second"]'
    )
    if len(text) > _LONGEST_LIST:
        raise wrong
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
            raise wrong from error
    if not isinstance(found, list) or not all(
        isinstance(each, str | int | float) for each in found
    ):
        raise wrong
    return tuple(str(each).strip() for each in found)


def offered(question: str, answer: str) -> tuple[str, ...]:
    """Return what a question offers to choose from ("axial, coronal or sagittal?").

    Empty when the answer is not one of them: where a thing of several words begins cannot be told,
    so that is believed only when all have one word, or end or begin with the same one.
    """
    words = re.findall(r"[\w'/+-]+|,", question)
    size = len(answer.split())
    for middle, word in enumerate(words):
        if word.lower() == "or" and size:
            found = _around(words[:middle], words[middle + 1 :], size)
            forms = [plain_form(each) for each in found]
            if len(set(forms)) == len(forms) and plain_form(answer) in forms:
                return found
    return ()


def plain_form(answer: str) -> str:
    """Return an answer without case, punctuation and plural: what near-synonyms share."""
    return " ".join(_singular(word) for word in re.findall(r"\w+", answer.casefold()))


def _built(case: SourceCase, vocabulary: Vocabulary, seed: int) -> tuple[str, ...]:
    chosen = [case.answer]
    forms = [set(plain_form(case.answer).split())]
    for candidate in _drawn(vocabulary.answers(case), seed, case.key):
        words = set(plain_form(candidate).split())
        if not any(words <= other or other <= words for other in forms):
            chosen.append(candidate)
            forms.append(words)
        if len(chosen) == OPTIONS:
            break
    if len(chosen) < 2:
        return ()
    return tuple(sorted(chosen, key=lambda option: _digest(seed, case.key, f"order {option}")))


def _drawn(stock: Sequence[str], seed: int, key: str) -> Iterator[str]:
    """Yield all of `stock` in an order drawn by digest: Fisher and Yates's, without a copy."""
    moved: dict[int, int] = {}
    for last in range(len(stock) - 1, -1, -1):
        index = int(_digest(seed, key, f"draw {len(stock) - 1 - last}"), 16) % (last + 1)
        yield stock[moved.get(index, index)]
        moved[index] = moved.get(last, last)


def _digest(seed: int, key: str, what: str) -> str:
    return sha256(f"{seed}\0{key}\0{what}".encode()).hexdigest()


def _kind(case: SourceCase) -> str:
    return f"{case.attributes.get('language', '')}/{case.question_type}"


def _loose(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")


def _around(before: list[str], after: list[str], size: int) -> tuple[str, ...]:
    """Return the things of `size` words on both sides of an `or`, those before it by commas."""
    while after and after[0].lower() in _FILLERS:
        after = after[1:]
    last = _phrase(after[:size], size)
    found: list[str] = []
    listed = before[-1:] == [","]
    while before:
        if before[-1] == ",":
            before = before[:-1]
        phrase = _phrase(before[-size:], size)
        before = before[:-size]
        if phrase:
            found.append(phrase)
        if not phrase or before[-1:] != [","]:
            break
    if len(found) == 2 and not listed:
        found.pop()  # "which is larger, liver or spleen": the comma begins the list
    things = [*reversed(found), last]
    shared = size == 1 or any(
        len({each.split()[end] for each in things if each}) == 1 for end in (0, -1)
    )
    return tuple(things) if found and last and shared else ()


def _phrase(words: Sequence[str], size: int) -> str:
    """Return `size` words as one text; empty when they are fewer, or cross a comma or filler."""
    whole = len(words) == size and not any(
        word == "," or word.lower() in _FILLERS for word in words
    )
    return " ".join(words) if whole else ""


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ses", "xes", "zes", "ches", "shes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
