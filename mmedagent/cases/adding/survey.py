"""The first pass over a release: how many cases, which splits, which answers there are.

It reads tables alone, no image. Its counts give the second pass its time left, and the distractors
of multiple-choice questions come from the training answers that it has seen.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from mmedagent.cases.multiple_choice import Vocabulary
from mmedagent.cases.sources.contract import Source
from mmedagent.cases.sources.release import Release
from mmedagent.errors import BadDataError
from mmedagent.recipes.sets import DataSetRecipe

_EVERY = 1000


@dataclass
class Survey:
    """What the first pass found."""

    cases: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    """Reason -> how many questions the adapter left out."""
    vocabulary: Vocabulary = field(default_factory=Vocabulary)


def survey(
    source: Source,
    release: Release,
    recipe: DataSetRecipe,
    tell: Callable[[int], None] = lambda done: None,
) -> Survey:
    """Pass over a release once; `tell` hears how many cases were seen so far.

    Raises `BadDataError` when the release has no case, beside what the adapter raises.
    """
    found = Survey()
    for case in source.cases(release, recipe.source, found.skipped):
        found.cases += 1
        found.splits[case.split] += 1
        found.vocabulary.add(case)
        if found.cases % _EVERY == 0:
            tell(found.cases)
    if not found.cases:
        left = ", ".join(f"{count} {reason}" for reason, count in found.skipped.items())
        raise BadDataError(f"{recipe.release} has no cases ({left or 'its tables are empty'})")
    tell(found.cases)
    return found
