"""The hub's conversions of the original sets: a Parquet file with image, question and answer.

They keep the pictures and words and leave most labels out. What is missing is derived here by one
rule, said in `docs/benchmarks-data.md`, and nothing is guessed beyond it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from mmedagent.cases.case import AnswerType
from mmedagent.cases.multiple_choice import offered, polar
from mmedagent.cases.sources.contract import SourceCase, Split
from mmedagent.cases.sources.layout import parquet_splits, text_of
from mmedagent.cases.sources.parquet_rows import image_in, parquet_rows, subject_in
from mmedagent.cases.sources.release import Release

COLUMNS = ("image", "question", "answer")
NO_ANSWER = "no answer"
NO_QUESTION = "no question"
ANOTHER_LANGUAGE = "another language"
_FIRST_WORDS = ("what", "where", "when", "which", "who", "whose", "why", "how")

Labels = Callable[[dict[str, Any], str], dict[str, Any]]
"""Takes a row and its place; returns the fields of `SourceCase` that the row says itself."""


def hub_cases(
    release: Release, modality: str, skipped: Counter[str], labels: Labels, also: tuple[str, ...]
) -> Iterator[SourceCase]:
    """Yield the rows of all splits; `labels` may add to or replace what is derived."""
    numbers: Counter[Split] = Counter()
    for name, split in parquet_splits(release).items():
        for row, cells in parquet_rows(release, name, COLUMNS, also):
            number = numbers[split]
            numbers[split] += 1
            said = labels(cells, row)
            question, answer = text_of(cells, "question", row), text_of(cells, "answer", row)
            reason = said.pop("skip", None) or empty(question, answer)
            if reason:
                skipped[reason] += 1
                continue
            image = image_in(cells["image"], f"{row}, image", release.limits)
            fields: dict[str, Any] = {
                "row": row,
                "key": f"{split}-{number:06d}",
                "images": (image,),
                "question": question,
                "answer": answer,
                "answer_type": answer_type_of(question, answer),
                "question_type": first_word(question, answer),
                "modality": modality,
                "subject": subject_in(image),
                "split": split,
                "attributes": {"language": "en"},
            }
            yield SourceCase(**(fields | said))


def empty(question: str, answer: str) -> str | None:
    """Return why a row is no case: a question or an answer without text."""
    return NO_QUESTION if not question else NO_ANSWER if not answer else None


def answer_type_of(question: str, answer: str) -> AnswerType:
    """Call a question closed when its answer is yes or no, or one of the things it offers."""
    closed = bool(polar(answer) or offered(question, answer))
    return "closed" if closed else "open"


def said_type(said: str, question: str, answer: str) -> AnswerType:
    """Return the type that a source gives as `OPEN` or `CLOSED`, else what can be told without."""
    word = said.upper()
    return (
        "closed"
        if word == "CLOSED"
        else "open"
        if word == "OPEN"
        else answer_type_of(question, answer)
    )


def first_word(question: str, answer: str) -> str:
    """Return the kind of question as PathVQA's paper sorts them: `yes/no`, or by the first word."""
    if polar(answer):
        return "yes/no"
    words = question.casefold().replace(",", " ").split()
    if words[:2] in (["how", "many"], ["how", "much"]):
        return "how many"
    return words[0] if words and words[0] in _FIRST_WORDS else "other"
