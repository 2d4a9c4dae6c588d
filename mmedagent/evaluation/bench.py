"""What the baselines share: cases, systems, and what is heard before an attending decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from mmedagent.cases.case import Case, Opinion, Question, Specialty
from mmedagent.consultation.doctor import Panel
from mmedagent.evaluation.consultations import batches
from mmedagent.evaluation.cost import Cost, cost_of, spent_since, usage_of, without
from mmedagent.evaluation.predictions import GREEDY, Row, opinions_of
from mmedagent.evaluation.roles import merge_roles
from mmedagent.evaluation.systems import Model, System
from mmedagent.progress import tell
from mmedagent.recipes.evaluation import EvaluationRecipe


@dataclass(frozen=True)
class Bench:
    """Who can be measured on what."""

    cases: list[Case]
    panel: Panel
    recipe: EvaluationRecipe
    systems: Mapping[str, System]
    models: Mapping[str, Model]
    """Doctors of baselines that are models of their own, by the baseline's name."""
    own: Sequence[Row]
    """The challenger's rows on `cases`; of each sample in the order of the cases."""

    @cached_property
    def questions(self) -> list[Question]:
        """What the models may see of the cases."""
        return [case.view() for case in self.cases]

    @property
    def challenger(self) -> System:
        """The pair that this run trained."""
        return self.systems["challenger"]

    def own_of(self, sample: int) -> list[Row]:
        """Return the challenger's rows of one sample, in the order of the cases."""
        return [row for row in self.own if row["sample"] == sample]


@dataclass(frozen=True)
class Heard:
    """What stands before the attending decides, case by case."""

    opinions: Sequence[tuple[Opinion, ...]]
    roles: Sequence[str | None]
    """As whom the panel was asked; None where it was not, or was asked as several."""
    costs: Sequence[Cost]
    """Of triage and panel."""
    routed: bool = False
    """Whether the challenger's triage chose the roles."""


def as_challenger(bench: Bench) -> Heard:
    """Return the opinions that the challenger heard, at what they cost it: nothing is asked."""
    own = bench.own_of(GREEDY)
    return Heard(
        opinions=[opinions_of(row["opinions"]) for row in own],
        roles=[row["role"] for row in own],
        costs=[without(cost_of(row["cost"]), "attending") for row in own],
        routed=True,
    )


def alone(bench: Bench) -> Heard:
    """Return no opinions, at no cost."""
    count = len(bench.cases)
    return Heard([()] * count, [None] * count, [{}] * count)


def in_roles(bench: Bench, name: str, roles: Sequence[Specialty]) -> Heard:
    """Ask the panel in `roles`; no triage takes part."""
    opinions: list[tuple[Opinion, ...]] = []
    costs: list[Cost] = []
    for batch in batches(len(bench.cases), bench.recipe.batch_size):
        tell(batch.start, len(bench.cases), f"{name}: opinions")
        before, size = usage_of(bench.panel), batch.stop - batch.start
        opinions += bench.panel.opinions(bench.questions[batch], roles[batch])
        costs += [{"panel": spent_since(bench.panel, before, size)}] * size
    return Heard(opinions, roles, costs)


def in_all_roles(bench: Bench, name: str) -> Heard:
    """Ask the panel in every role of the recipe; a specialist's answers become one opinion."""
    count, before = len(bench.cases), usage_of(bench.panel)
    every = {
        role: in_roles(bench, f"{name}: {role}", [role] * count).opinions
        for role in bench.recipe.all_roles
    }
    cost: Cost = {"panel": spent_since(bench.panel, before, count)}
    return Heard(merge_roles(every), [None] * count, [cost] * count)
