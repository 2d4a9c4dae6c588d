"""The whole recipe: one typed section for each piece of work.

A DAG step is handed its own section alone, so that changing a field reruns only what depends on it.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mmedagent.errors import UsageError
from mmedagent.recipes.baselines import BaselinesRecipe
from mmedagent.recipes.data import DataRecipe, ValidationRecipe
from mmedagent.recipes.evaluation import EvaluationRecipe
from mmedagent.recipes.gate import GateRecipe
from mmedagent.recipes.model import ModelRecipe
from mmedagent.recipes.panel import (
    CurriculumRecipe,
    LabelRecipe,
    PanelRecipe,
    PanelTrainingRecipe,
)
from mmedagent.recipes.serving import ServingRecipe
from mmedagent.recipes.training import AttendingRecipe, TriageRecipe, WarmStartRecipe


class WarmStarts(BaseModel):
    """The supervised warm starts: what makes the Start of each doctor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    triage: WarmStartRecipe
    attending: WarmStartRecipe


class Training(BaseModel):
    """The reinforcement learning of each doctor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    triage: TriageRecipe
    attending: AttendingRecipe


class Recipe(BaseModel):
    """Everything that decides what a run does. `mmedagent.recipes.named` has the named ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    data: DataRecipe
    validation: ValidationRecipe
    model: ModelRecipe
    panel: PanelRecipe
    panel_training: PanelTrainingRecipe
    label: LabelRecipe = LabelRecipe()
    curriculum: CurriculumRecipe
    warm_start: WarmStarts
    training: Training
    baselines: BaselinesRecipe | None = None
    """None where no baseline is trained: their loop is one process with all weights."""
    evaluation: EvaluationRecipe
    gate: GateRecipe
    serving: ServingRecipe

    @property
    def trained_baselines(self) -> BaselinesRecipe:
        """The section `baselines`; raises `UsageError` where the recipe has none."""
        if self.baselines is None:
            raise UsageError(
                f"the recipe {self.name!r} trains no baselines: its section `baselines` is null"
            )
        return self.baselines
