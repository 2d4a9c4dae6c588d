"""The one reviewed table from image modality to gold specialty (`modalities.yaml`)."""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from mmedagent.cases.case import Specialty

_TABLE = Path(__file__).with_name("modalities.yaml")


class Modality(BaseModel):
    """One row of the table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    modality: str
    """The project's word for it."""
    specialty: Specialty | None
    """None where the word is known and names no specialty (a chart, a photograph)."""
    aliases: tuple[str, ...]
    """As sources spell it; case and punctuation do not count."""
    why: str


@lru_cache(maxsize=1)
def table() -> tuple[Modality, ...]:
    """Return the rows in the file's order. Raises `ValueError` when two rows share a spelling."""
    rows = tuple(Modality.model_validate(row) for row in yaml.safe_load(_TABLE.read_text("utf-8")))
    seen: dict[str, str] = {}
    for row in rows:
        for spelling in {_plain(word) for word in (row.modality, *row.aliases)}:
            if seen.setdefault(spelling, row.modality) != row.modality:
                raise ValueError(f"{_TABLE.name}: {spelling!r} is in two rows")
    return rows


def canonical(word: str) -> str | None:
    """Return the project's word for a modality as a source spells it, None when it is not known."""
    row = _by_spelling().get(_plain(word))
    return row.modality if row else None


def specialty_of(modality: str) -> Specialty | None:
    """Return the gold specialty of a modality in any spelling.

    None when the table does not have the word, or has it without a specialty: such a case is
    listed by the pipeline with its word, never given a specialty by guess.
    """
    row = _by_spelling().get(_plain(modality))
    return row.specialty if row else None


@lru_cache(maxsize=1)
def _by_spelling() -> Mapping[str, Modality]:
    return {_plain(word): row for row in table() for word in (row.modality, *row.aliases)}


def _plain(word: str) -> str:
    return re.sub(r"[\W_]+", " ", word.casefold()).strip()
