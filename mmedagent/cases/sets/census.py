"""How many images, subjects and questions a version has, by specialty and pool, and of what kind.

The streaming form of `cases.census`: eight bytes of memory for each image and subject of a cell.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from mmedagent.cases.case import POOLS, SPECIALTIES
from mmedagent.cases.census import Count
from mmedagent.cases.sets.columns import SEPARATOR, Done, iter_columns, text_hashes

_KINDS = {
    "pools": "pool",
    "answers": "answer_type",
    "specialties": "specialty",
    "modalities": "modality",
    "sources": "source",
}
_NAMES = ("pool", "specialty", "subject", "images", "modality", "source", "answer_type")


@dataclass(frozen=True)
class Census:
    """What a version holds."""

    cases: int
    images: int
    """Distinct ones."""
    cells: dict[tuple[str, str], Count]
    """(pool, specialty) -> counts; empty cells are left out."""
    counts: dict[str, Counter[str]]
    """`pools`, `answers`, `specialties`, `modalities`, `sources` -> word -> cases."""

    @property
    def specialties(self) -> list[str]:
        """The specialties that occur, in the paper's order."""
        there = {specialty for _, specialty in self.cells}
        return [name for name in SPECIALTIES if name in there]


def census_of(folder: Path, done: Done | None = None) -> Census:
    """Count what the version in `folder` holds. Raises `BadDataError` when it is not whole."""
    cells: dict[tuple[str, str], _Cell] = {}
    counts: dict[str, Counter[str]] = {name: Counter() for name in _KINDS}
    images: list[Any] = []
    for batch in iter_columns(folder, _NAMES, done):
        for name, column in _KINDS.items():
            entries = pc.value_counts(batch[column].combine_chunks()).to_pylist()
            counts[name].update({entry["values"]: entry["counts"] for entry in entries})
        keys = batch.select(["pool", "specialty"]).group_by(["pool", "specialty"]).aggregate([])
        for key in keys.to_pylist():
            chosen = pc.and_(
                pc.equal(batch["pool"], key["pool"]),
                pc.equal(batch["specialty"], key["specialty"]),
            )
            part = batch.filter(chosen)
            cell = cells.setdefault((key["pool"], key["specialty"]), _Cell())
            found = np.unique(image_hashes(part["images"]))
            cell.images.append(found)
            cell.subjects.append(np.unique(text_hashes(part["subject"])))
            cell.questions += part.num_rows
            images.append(found)
    return Census(
        cases=sum(cell.questions for cell in cells.values()),
        images=_distinct(images),
        cells={
            (pool, specialty): cells[pool, specialty].count()
            for pool in POOLS
            for specialty in SPECIALTIES
            if (pool, specialty) in cells
        },
        counts=counts,
    )


def count_images(folder: Path) -> int:
    """Return how many distinct images a version has, by their digests."""
    return _distinct(
        [np.unique(image_hashes(batch["images"])) for batch in iter_columns(folder, ("images",))]
    )


def image_hashes(column: Any) -> Any:
    """Return a 64-bit hash of each image of a column `images`, whose texts hold several digests."""
    return text_hashes(pc.list_flatten(pc.split_pattern(column, SEPARATOR)))


class _Cell:
    def __init__(self) -> None:
        self.images: list[Any] = []
        self.subjects: list[Any] = []
        self.questions = 0

    def count(self) -> Count:
        return Count(_distinct(self.images), _distinct(self.subjects), self.questions)


def _distinct(hashes: list[Any]) -> int:
    return len(np.unique(np.concatenate(hashes))) if hashes else 0
