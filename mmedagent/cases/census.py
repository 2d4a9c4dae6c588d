"""How many images, subjects and questions each specialty has in each pool."""

from collections.abc import Iterable
from dataclasses import dataclass

from mmedagent.cases.case import POOLS, SPECIALTIES, Case


@dataclass(frozen=True)
class Count:
    """One cell of the table."""

    images: int
    subjects: int
    questions: int


def census(cases: Iterable[Case]) -> dict[tuple[str, str], Count]:
    """Return (specialty, pool) -> counts, in the paper's order, empty cells left out."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        groups.setdefault((case.specialty, case.pool), []).append(case)
    return {
        key: Count(
            images=len({case.image_digest for case in groups[key]}),
            subjects=len({case.subject for case in groups[key]}),
            questions=len(groups[key]),
        )
        for key in ((specialty, pool) for specialty in SPECIALTIES for pool in POOLS)
        if key in groups
    }
