"""What every cell of a study is handed, and what a row is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mmedagent.recipes.schema import Recipe
from mmedagent.study.schema import Group

SELECTION_POOL = "validation"
"""Everything that is chosen is chosen here."""
REPORTED_POOL = "test"
POOLS = (SELECTION_POOL, REPORTED_POOL)


@dataclass(frozen=True)
class Row:
    """One system of the study, run once a seed."""

    name: str
    group: Group
    title: str
    """What the page calls it."""
    seeds_needed: Literal["conclusions", "rest"]
    """Whether the page draws conclusions from it, which takes more seeds."""
    spec: Mapping[str, Any] = field(default_factory=dict)
    """What it changes of the recipe; JSON-able, written into its cells."""


@dataclass(frozen=True)
class Context:
    """Where a study's inputs lie, where it works and what it writes. Can be sent to a worker."""

    recipe: Recipe
    cases: Path
    """The data version."""
    base: Path
    """The model that both doctors start from."""
    panel: Path
    """The frozen panel's folder."""
    work: Path
    """For what a study needs again and does not publish: its digests are in the path, so two
    studies never meet in it. `seed_work` is one seed's part."""
    out: Path
    """The study's folder, where the JSON files go. Cells are written by the runner alone."""
    quick: bool
    """Check the machinery with few steps and cases."""
    digests: Mapping[str, str]
    """Of `recipe`, `data`, `panel`, `base`."""
    revision: str
    """The git revision of the code, `+changes` behind it when the checkout differs from it."""

    def seed_work(self, seed: int) -> Path:
        """Return the folder of what the cells of `seed` share, made if it is not there."""
        path = self.work / f"seed-{seed}"
        path.mkdir(parents=True, exist_ok=True)
        return path
