"""What each source may hold: the rules that the expectation suites of the sources are made of.

The question types are those of the releases, lower case (docs/validation.md cites them). A type
that is not listed is worth a look, not a reason to stop: releases grow.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class SourceRules:
    """The rules of one source."""

    title: str
    pools: tuple[str, ...] | None
    """Pools that must not be empty; None takes the recipe's."""
    question_types: tuple[str, ...] | None = None
    """The types that the release knows; None where any may occur."""
    languages: tuple[str, ...] = ()
    """The languages that the attribute `language` may name; empty where there is none."""
    options: tuple[int, int] = (2, 26)
    """Least and most options of a multiple-choice question."""
    unlettered: bool = True
    """Whether a closed question may have no options, where none could be built."""
    images: int = 1
    """Most images of a question."""
    balanced: bool = False
    """Whether imbalance stops a run: a benchmark is what it is, and is only warned of."""


STARTER = "starter"
"""The suite of the starter set, whose sources are packages, and of whatever else is unknown."""

_ENGLISH = ("en",)
_BY_FIRST_WORD = (
    "yes/no", "what", "where", "when", "which", "who", "whose", "why", "how", "how many", "other",
)  # fmt: skip
"""The types that adapters give where a conversion has lost the release's own (`sources.hub`)."""
_RAD_TYPES = (
    "modality", "plane", "organ", "abn", "pres", "pos", "color", "size", "attrib", "count", "other",
)  # fmt: skip
_SLAKE_TYPES = (
    "modality", "plane", "organ", "position", "abnormality", "quantity", "color", "size", "shape",
    "kg",
)  # fmt: skip
_OMNI_TYPES = (
    "modality recognition", "anatomy identification", "disease diagnosis", "lesion grading",
    "other biological attributes",
)  # fmt: skip

RULES: Mapping[str, SourceRules] = {
    "vqa-rad": SourceRules("VQA-RAD", ("train", "test"), (*_RAD_TYPES, *_BY_FIRST_WORD), _ENGLISH),
    "slake": SourceRules(
        "SLAKE",
        ("train", "validation", "test"),
        (*_SLAKE_TYPES, *_BY_FIRST_WORD),
        ("en", "zh"),
    ),
    "path-vqa": SourceRules("PathVQA", ("train", "validation", "test"), _BY_FIRST_WORD, _ENGLISH),
    "omni-med-vqa": SourceRules(
        "OmniMedVQA", ("train", "test"), _OMNI_TYPES, _ENGLISH, options=(2, 4), unlettered=False
    ),
    "mmmu": SourceRules(
        "MMMU Health & Medicine", ("test",), ("multiple-choice", "open"), _ENGLISH, images=7
    ),
    "own": SourceRules("own cases", ("train", "test"), images=64),
    STARTER: SourceRules("starter set", None, unlettered=False, balanced=True),
}
"""Suite -> its rules. A case's suite is its `source`, where that is the name of an adapter."""


def suite_of(source: object) -> str:
    """Return the suite that judges the cases of `source`."""
    return source if isinstance(source, str) and source in RULES else STARTER
