"""How the baselines that are models of their own are trained. The defaults are the laptop's."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mmedagent.consultation.prompts import Style
from mmedagent.recipes.training import SupervisedRecipe


class SupervisedAttendingRecipe(BaseModel):
    """The attending fine-tuned on gold answers, from its Start, on the pool of its RL.

    The budget is RL's in optimiser steps: 20 + 80 + 110. Each step has half of RL's forward passes
    (32 completions instead of 128, a quarter, but of batches drawn from all cases at once) and no
    sampling, so that in processor time the baseline is the cheaper one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    opinions: bool = True
    """Whether the prompts carry the panel's opinions."""
    fit: SupervisedRecipe = SupervisedRecipe(steps=210, learning_rate=1e-3)
    style: Style = "compact"
    permute_options: bool = False
    seed: Annotated[int, Field(ge=0)] = 0


class SupervisedTriageRecipe(BaseModel):
    """The triage doctor fine-tuned on gold specialties, from its Start, on the pool of its RL."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fit: SupervisedRecipe = SupervisedRecipe(steps=160, learning_rate=1e-3)
    most_imbalance: Annotated[float, Field(ge=1)] = 2.0
    """Cases of one specialty per case of the rarest; above that a specialty's cases are thinned."""
    style: Style = "compact"
    seed: Annotated[int, Field(ge=0)] = 0


class TriageClassifierRecipe(BaseModel):
    """A vision tower with a linear head, taught gold specialties by cross-entropy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fit: SupervisedRecipe = SupervisedRecipe(steps=160, learning_rate=1e-3)
    train_tower: bool = True
    """Whether the tower learns too; the head alone is enough only on a pretrained one."""
    most_imbalance: Annotated[float, Field(ge=1)] = 2.0
    seed: Annotated[int, Field(ge=0)] = 0


class BaselinesRecipe(BaseModel):
    """All of them. No task of a run reads this: `mmedagent study` does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    supervised_with_opinions: SupervisedAttendingRecipe = SupervisedAttendingRecipe()
    supervised_without_opinions: SupervisedAttendingRecipe = SupervisedAttendingRecipe(
        opinions=False
    )
    triage_supervised: SupervisedTriageRecipe = SupervisedTriageRecipe()
    triage_classifier: TriageClassifierRecipe = TriageClassifierRecipe()
