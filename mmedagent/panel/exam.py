"""What the specialists are good at: accuracy by kind of question, in a right and a wrong role.

`python -m mmedagent.panel.exam` prints the table that docs/panel.md quotes.
"""

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmedagent.cases.case import SPECIALTIES, Case, Opinion, Specialty
from mmedagent.cases.store import read_multiple_choice
from mmedagent.consultation.consult import majority_vote
from mmedagent.consultation.doctor import Panel
from mmedagent.errors import MMedAgentError
from mmedagent.panel.client import open_panel
from mmedagent.panel.curriculum import agreement_of
from mmedagent.panel.table import TIERS, tier_of
from mmedagent.recipes.panel import PanelRecipe

RESAMPLES = 2000


@dataclass(frozen=True)
class Share:
    """A share with its 95 % interval, percentile bootstrap over images."""

    n: int
    value: float
    lower: float
    upper: float

    def __str__(self) -> str:
        """Write it as `0.57 [0.51, 0.63]`."""
        return f"{self.value:.2f} [{self.lower:.2f}, {self.upper:.2f}]"


@dataclass(frozen=True)
class Sheet:
    """One panel's answers to one set of cases, in the right role and in a wrong one."""

    cases: tuple[Case, ...]
    right: tuple[tuple[Opinion, ...], ...]
    wrong: tuple[tuple[Opinion, ...], ...]

    @property
    def specialists(self) -> tuple[str, ...]:
        """The names, in the panel's order."""
        return tuple(opinion.specialist for opinion in self.right[0])

    def accuracy(self, specialist: int, in_role: bool, kind: str | None = None) -> Share:
        """Return one specialist's accuracy on the questions of type `kind`, or on all."""
        said = self.right if in_role else self.wrong
        return self._share(lambda i: said[i][specialist].letter == self.cases[i].letter, kind)

    def role_effect(self, specialist: int) -> Share:
        """Return by how much the right role is more accurate, on the same cases."""

        def gain(i: int) -> float:
            letter = self.cases[i].letter
            right = self.right[i][specialist].letter == letter
            return float(right) - float(self.wrong[i][specialist].letter == letter)

        return self._share(gain)

    def majority(self, kind: str | None = None) -> Share:
        """Return the majority vote's accuracy, in the right role."""
        return self._share(lambda i: majority_vote(self.right[i]) == self.cases[i].letter, kind)

    def any_right(self, kind: str | None = None) -> Share:
        """Return how often at least one specialist is right, in the right role."""
        return self._share(
            lambda i: any(o.letter == self.cases[i].letter for o in self.right[i]), kind
        )

    def tier(self, tier: str) -> Share:
        """Return the share of cases in one tier."""
        return self._share(lambda i: tier_of(agreement_of(self.cases[i], self.right[i])) == tier)

    def _share(self, value: Callable[[int], float], kind: str | None = None) -> Share:
        chosen = [i for i, case in enumerate(self.cases) if kind in (None, case.question_type)]
        values = np.array([float(value(i)) for i in chosen])
        images = [self.cases[i].image_digest for i in chosen]
        return _bootstrap(values, images)


def examine(panel: Panel, cases: Sequence[Case], seed: int = 0) -> Sheet:
    """Ask `panel` about each case twice: in its specialty, and in another drawn with `seed`."""
    draw = random.Random(seed)
    others = [draw.choice([s for s in SPECIALTIES if s != case.specialty]) for case in cases]
    roles: list[Specialty] = [*[case.specialty for case in cases], *others]
    said = panel.opinions([case.view() for case in cases] * 2, roles)
    return Sheet(tuple(cases), tuple(said[: len(cases)]), tuple(said[len(cases) :]))


def table(sheet: Sheet) -> str:
    """Return the figures as Markdown."""
    names = sheet.specialists
    kinds = sorted({case.question_type for case in sheet.cases})
    head = ["question type", "n", *names, "majority", "any right"]
    rows = [_row(sheet, kind) for kind in kinds] + [_row(sheet, None)]
    lines = [head, ["---"] * len(head), *rows]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    roles = [["specialist", "right role", "wrong role", "difference"], ["---"] * 4]
    for n, name in enumerate(names):
        figures = (sheet.accuracy(n, True), sheet.accuracy(n, False), sheet.role_effect(n))
        roles.append([name, *map(str, figures)])
    text += "\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in roles)
    tiers = ", ".join(f"{tier} {sheet.tier(tier)}" for tier in TIERS)
    return f"{text}\n\nTiers: {tiers}"


def _row(sheet: Sheet, kind: str | None) -> list[str]:
    singles = [sheet.accuracy(n, True, kind) for n in range(len(sheet.specialists))]
    shares = [*singles, sheet.majority(kind), sheet.any_right(kind)]
    return [kind or "**all**", str(shares[0].n), *map(str, shares)]


def _bootstrap(values: np.ndarray, clusters: Sequence[str]) -> Share:
    _, cluster = np.unique(clusters, return_inverse=True)
    sums, sizes = np.bincount(cluster, weights=values), np.bincount(cluster)
    drawn = np.random.default_rng(0).integers(0, len(sizes), (RESAMPLES, len(sizes)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    lower, upper = np.quantile(means, [0.025, 0.975])
    return Share(len(values), float(values.mean()), float(lower), float(upper))


def main() -> int:
    """Examine the laptop's panel on one pool and print what it is good at."""
    parser = argparse.ArgumentParser(description="Measure the panel's strengths and role effect.")
    parser.add_argument("--cases", type=Path, default=Path("data/starter"))
    parser.add_argument("--panel", type=Path, default=Path("models/panel"))
    parser.add_argument("--pool", default="validation")
    parser.add_argument("--store", type=Path, default=None, help="an opinion store to use")
    arguments = parser.parse_args()
    try:
        cases = read_multiple_choice(arguments.cases, [arguments.pool])
        with open_panel(PanelRecipe(), arguments.panel, arguments.store) as panel:
            print(table(examine(panel, cases)))
    except MMedAgentError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
