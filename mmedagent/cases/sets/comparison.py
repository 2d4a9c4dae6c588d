"""`mmedagent data diff`: which cases came, went or changed, and what moved in the distributions."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmedagent.cases.case import POOLS, SPECIALTIES
from mmedagent.cases.sets.contents import Contents, compare_contents
from mmedagent.cases.sets.distributions import (
    Distributions,
    distance,
    distributions,
    quantile,
    widest_gap,
)
from mmedagent.cases.store import read_manifest

FEW = 5
"""A category that comes from free words is named when so many cases of a version have it."""
_LONGEST_NAME = 60
_VOCABULARY = ("pool", "specialty", "modality", "source", "answer_type")
"""Their words come from the project or its declarations, and are always named."""
_ORDERED = {"pool": POOLS, "specialty": SPECIALTIES, "answer_type": ("closed", "open")}
Say = Callable[[str, int, int], None]
"""Told what is under way, how many rows are done, and of how many."""


@dataclass(frozen=True)
class Side:
    """One of the two versions."""

    label: str
    """As the user named it."""
    name: str
    digest: str
    """Of its manifest."""
    cases: int


@dataclass(frozen=True)
class Moved:
    """One distribution in both versions."""

    name: str
    kind: str
    """`categories` or `numbers`."""
    distance: float
    """0 to 1: total variation for categories, Kolmogorov-Smirnov for numbers."""
    before: dict[Any, int]
    after: dict[Any, int]
    unnamed: int = 0
    """Categories too rare to be named, that are left out of `before` and `after`."""
    unnamed_cases: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Comparison:
    """All that `diff` says."""

    before: Side
    after: Side
    contents: Contents
    moved: tuple[Moved, ...]
    """In a fixed order, pools first."""

    @property
    def same(self) -> bool:
        """Whether the two versions hold the same cases."""
        return self.before.digest == self.after.digest or (
            self.contents.unchanged == self.before.cases == self.after.cases
        )

    def as_dict(self) -> dict[str, Any]:
        """Return all as JSON-able values."""
        contents = asdict(self.contents) | {"unchanged": self.contents.unchanged}
        contents["moved"] = [
            {"from": source, "to": target, "cases": count}
            for (source, target), count in self.contents.moved.items()
        ]
        return {
            "schema": 1,
            "before": asdict(self.before),
            "after": asdict(self.after),
            "same": self.same,
            "cases": contents,
            "distributions": [_moved_dict(moved) for moved in self.moved],
        }


def compare(
    one: tuple[str, Path], two: tuple[str, Path], images: bool = True, say: Say | None = None
) -> Comparison:
    """Compare two data versions, given as (label, folder).

    `images` also compares the images' sizes, which takes reading their bytes. Raises `BadDataError`
    when one of them is not whole.
    """

    def done(what: str) -> Callable[[int, int], None] | None:
        return None if say is None else lambda read, total: say(what, read, total)

    contents = compare_contents(one[1], two[1], done=done("comparing cases"))
    counted = [
        distributions(folder, done(f"counting {label}"), images) for label, folder in (one, two)
    ]
    return Comparison(
        before=_side(one, counted[0].cases),
        after=_side(two, counted[1].cases),
        contents=contents,
        moved=tuple(_all_moved(counted[0], counted[1])),
    )


def _side(of: tuple[str, Path], cases: int) -> Side:
    manifest = read_manifest(of[1])
    return Side(of[0], str(manifest["name"]), str(manifest["digest"]), cases)


def _all_moved(one: Distributions, two: Distributions) -> list[Moved]:
    found = []
    for name in one.categories:
        before, after = one.categories[name], two.categories[name]
        found.append(_named(name, before, after))
    for name in one.numbers:
        low, high = one.numbers[name], two.numbers[name]
        found.append(Moved(name, "numbers", widest_gap(low, high), dict(low), dict(high)))
    return found


def _named(name: str, before: Counter[str], after: Counter[str]) -> Moved:
    """Order categories and leave out those whose words could tell of a single case."""
    apart = distance(before, after)
    everything = sorted(
        {*before, *after}, key=lambda c: (_place(name, c), -after[c], -before[c], c)
    )
    shown = [c for c in everything if name in _VOCABULARY or _may_be_named(c, before, after)]
    rest = [c for c in everything if c not in set(shown)]
    return Moved(
        name=name.replace("_", " "),
        kind="categories",
        distance=apart,
        before={c: before[c] for c in shown},
        after={c: after[c] for c in shown},
        unnamed=len(rest),
        unnamed_cases=(sum(before[c] for c in rest), sum(after[c] for c in rest)),
    )


def _may_be_named(category: str, before: Mapping[str, int], after: Mapping[str, int]) -> bool:
    common = max(before.get(category, 0), after.get(category, 0)) >= FEW
    return common and len(category) <= _LONGEST_NAME


def _place(name: str, category: str) -> int:
    known: tuple[str, ...] = _ORDERED.get(name, ())
    return known.index(category) if category in known else len(known)


def _moved_dict(moved: Moved) -> dict[str, Any]:
    facts = asdict(moved) | {"distance": round(moved.distance, 6)}
    if moved.kind == "numbers":
        facts["quantiles"] = {
            f"{share:g}": [quantile(moved.before, share), quantile(moved.after, share)]
            for share in (0.05, 0.5, 0.95)
        }
        for side in ("before", "after"):
            facts[side] = {str(value): count for value, count in sorted(facts[side].items())}
    return facts
