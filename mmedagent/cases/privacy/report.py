"""What was removed, counted: by place and by kind, and never what it was."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from mmedagent.errors import BadDataError

Place = Literal["question", "answer", "option", "image", "dicom", "attribute"]
"""The kinds of places: never a file's name, whose words may be a patient's."""
PLACES: tuple[Place, ...] = get_args(Place)


@dataclass
class PrivacyReport:
    """Counts of what was removed; two reports of two halves merge into that of the whole."""

    removed: dict[str, Counter[str]] = field(default_factory=dict)
    """Place -> kind (`name`, `date`, `text region`, `tags of group 0010`) -> how many."""
    looked_at: Counter[str] = field(default_factory=Counter)
    """Place -> how many texts, images or headers were searched."""
    touched: Counter[str] = field(default_factory=Counter)
    """Place -> in how many of them something was removed."""
    refused: Counter[str] = field(default_factory=Counter)
    """Place -> how many cases were left out because the recipe says `refuse`."""

    def add(self, place: Place, counts: Mapping[str, int], refused: bool = False) -> None:
        """Count one searched text, image or header, and what was removed from it.

        Raises `BadDataError` for an unknown place: free text must not become a key of a report.
        """
        if place not in PLACES:
            raise BadDataError(f"a privacy report has no such place; it has {', '.join(PLACES)}")
        self.looked_at[place] += 1
        found = {kind: count for kind, count in counts.items() if count}
        if found:
            self.touched[place] += 1
            self.removed.setdefault(place, Counter()).update(found)
        if refused:
            self.refused[place] += 1

    def merge(self, other: Self) -> None:
        """Add another report's counts to this one's."""
        for place, counts in other.removed.items():
            self.removed.setdefault(place, Counter()).update(counts)
        self.looked_at.update(other.looked_at)
        self.touched.update(other.touched)
        self.refused.update(other.refused)

    @property
    def total(self) -> int:
        """How many things were removed, over all places and kinds."""
        return sum(sum(counts.values()) for counts in self.removed.values())

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON-able values, sorted: equal reports give equal bytes."""
        return {
            "removed": {
                place: dict(sorted(counts.items()))
                for place, counts in sorted(self.removed.items())
            },
            "looked_at": dict(sorted(self.looked_at.items())),
            "touched": dict(sorted(self.touched.items())),
            "refused": dict(sorted(self.refused.items())),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Return the report that `as_dict` gave `value` for."""
        removed = {place: Counter(counts) for place, counts in value["removed"].items()}
        counters = (Counter(value[name]) for name in ("looked_at", "touched", "refused"))
        return cls(removed, *counters)
