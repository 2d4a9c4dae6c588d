"""Everything that the page says in figures, computed once from a study's files."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from mmedagent.study.comparisons import COMPARISONS, Claim, Comparison
from mmedagent.study.context import REPORTED_POOL, SELECTION_POOL, Row
from mmedagent.study.folder import Evidence
from mmedagent.study.measures import DERIVED, Measures, measure
from mmedagent.study.rows import ROWS
from mmedagent.study.schema import Cell, Cost
from mmedagent.study.statistics import Estimate, TwoWayBootstrap, holm

Verdict = Literal["better", "worse", "not decided", "not measured"]
LEVEL = 0.05
EASY_BAR = 0.90
"""What easy cases must keep."""


@dataclass(frozen=True)
class Compared:
    """One comparison as it came out."""

    comparison: Comparison
    estimate: Estimate | None
    """Left minus right; None when a row of it is missing."""
    adjusted: float | None
    """Holm's p over all comparisons that were measured."""

    @property
    def verdict(self) -> Verdict:
        """Whether the left side is better, by the interval alone."""
        if self.estimate is None:
            return "not measured"
        low, high = self.estimate.lower, self.estimate.upper
        if self.comparison.less_is_better:
            low, high = -high, -low
        return "better" if low > 0 else "worse" if high < 0 else "not decided"

    @property
    def stands(self) -> bool:
        """Whether the difference is significant together with all others."""
        return self.adjusted is not None and self.adjusted < LEVEL


class Results:
    """The figures of one study, with one set of bootstrap draws behind all of them."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.measures = measure(evidence, REPORTED_POOL)
        self.selection: Measures = measure(evidence, SELECTION_POOL)
        self._bootstrap = TwoWayBootstrap(self.measures.images)
        self._known: dict[tuple[str, str], Estimate | None] = {}
        self._rows: dict[str, Row] = {row.name: row for row in ROWS}

    def estimate(self, row: str, figure: str = "accuracy") -> Estimate | None:
        """Return a row's figure on the reported pool, None where it has none."""
        key = (row, figure)
        if key not in self._known:
            found = self.measures.find(row, figure)
            self._known[key] = None if found is None else self._bootstrap.mean(found)
        return self._known[key]

    def difference(self, left: str, right: str, figure: str = "accuracy") -> Estimate | None:
        """Return one row's figure minus another's, paired."""
        one, other = self.measures.find(left, figure), self.measures.find(right, figure)
        if one is None or other is None:
            return None
        return self._bootstrap.difference([one], [other])

    @cached_property
    def compared(self) -> Mapping[str, Compared]:
        """All declared comparisons by name, with Holm's correction over those measured."""
        estimates = {c.name: self._compare(c) for c in COMPARISONS}
        values = {
            name: estimate.p
            for name, estimate in estimates.items()
            if estimate is not None and estimate.p is not None
        }
        adjusted = dict(zip(values, holm(list(values.values())), strict=True))
        return {c.name: Compared(c, estimates[c.name], adjusted.get(c.name)) for c in COMPARISONS}

    @cached_property
    def names(self) -> list[str]:
        """All rows with a figure: the derived ones after `full`, the others as declared."""
        there = list(self.measures.rows)
        known = [name for name in self._rows if name in there]
        derived = [name for name in DERIVED if name in there]
        unknown = [name for name in there if name not in {*known, *derived}]
        at = known.index("full") + 1 if "full" in known else 0
        return [*known[:at], *derived, *known[at:], *unknown]

    def title(self, name: str) -> str:
        """Return what the page calls a row."""
        if name in DERIVED:
            return DERIVED[name]
        return self._rows[name].title if name in self._rows else name

    def group(self, name: str) -> str:
        """Return a row's group; derived rows are baselines."""
        cells = self.evidence.cells.get(name)
        return "baseline" if cells is None else next(iter(cells.values())).group

    def cells(self, name: str) -> list[Cell]:
        """Return a row's cells by seed; a derived row has none."""
        return list(self.evidence.cells.get(name, {}).values())

    def cost(self, name: str) -> Cost | None:
        """Return what one consultation costs, on average over seeds."""
        known = [cell.cost for cell in self.cells(name) if cell.cost is not None]
        if not known:
            return None
        fields = {
            field: sum(getattr(cost, field) for cost in known) / len(known)
            for field in Cost.model_fields
        }
        return Cost(**fields)

    def judge(self, claim: Claim) -> str:
        """Return whether a claim of the paper shows here: computed, not written."""
        if not claim.comparisons:
            return "cannot be tested here"
        found = [self.compared[name] for name in claim.comparisons]
        verdicts = {each.verdict for each in found}
        if "not measured" in verdicts:
            return "not measured"
        if "worse" in verdicts:
            return "contradicted"
        if verdicts == {"better"}:
            return "shown" if all(each.stands for each in found) else "shown before correction"
        return "not decided"

    def _compare(self, comparison: Comparison) -> Estimate | None:
        sides = [
            [self.measures.find(row, comparison.figure) for row in side]
            for side in (comparison.left, comparison.right)
        ]
        left, right = ([table for table in side if table is not None] for side in sides)
        if len(left) < len(comparison.left) or len(right) < len(comparison.right):
            return None
        return self._bootstrap.difference(left, right)


def cpu_seconds(evidence: Evidence) -> dict[str, float]:
    """Return the study's CPU seconds: of the seeds' shared work, of training and of measuring.

    Rows that are asked differently and trained alike name the same training; it counts once.
    """
    training: dict[tuple[int, str], float] = {}
    measuring = 0.0
    for cells in evidence.cells.values():
        for seed, cell in cells.items():
            key = (seed, _trained_as(cell))
            training[key] = max(training.get(key, 0.0), cell.cpu_seconds.train)
            measuring += cell.cpu_seconds.evaluate
    shared = sum(sum(s.cpu_seconds.values()) for s in evidence.shared.values())
    return {"shared": shared, "training": sum(training.values()), "measuring": measuring}


def _trained_as(cell: Cell) -> str:
    spec = cell.spec
    return repr((spec.get("attending", "rl"), spec.get("changes", {}), spec.get("opinions", True)))
