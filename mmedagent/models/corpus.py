"""The words that the tiny models' tokenizer knows: those of the prompts and of the options."""

from collections.abc import Iterable

from mmedagent.cases.case import POOLS, SPECIALTIES, Case, Opinion, Pool
from mmedagent.consultation.prompts import (
    Style,
    attending_messages,
    specialist_messages,
    triage_messages,
)

CORPUS_POOLS: tuple[Pool, ...] = tuple(pool for pool in POOLS if pool not in ("validation", "test"))
"""Whose wording may be learned from: nothing that is measured."""


def corpus(cases: Iterable[Case], style: Style) -> list[str]:
    """Return the texts that a tokenizer is trained on, sorted, each once.

    Each word also comes with a blank before it, as it follows a tag in a reply.
    """
    texts = {f" {specialty}" for specialty in SPECIALTIES}
    seen = set()
    for case in cases:
        if (case.question, case.options, case.specialty, case.modality) in seen:
            continue
        seen.add((case.question, case.options, case.specialty, case.modality))
        question = case.view()
        said = [_opinion(letter) for letter in (*question.letters, None)]
        for messages in (
            triage_messages(question, style),
            specialist_messages(question, case.specialty, style),
            attending_messages(question, said, style),
        ):
            texts |= {part["text"] for part in messages[0]["content"] if part["type"] == "text"}
        texts |= {f" {word}" for word in (*case.options, case.modality, *question.letters)}
    return sorted(texts)


def _opinion(letter: str | None) -> Opinion:
    return Opinion(specialist="", role=SPECIALTIES[0], letter=letter, reasoning="", raw="")
