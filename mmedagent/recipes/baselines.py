"""How the baselines that are models of their own are trained. The defaults are the laptop's."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mmedagent.consultation.prompts import Style
from mmedagent.recipes.training import SupervisedRecipe


class SupervisedAttendingRecipe(BaseModel):
    """The attending fine-tuned on gold answers, from its Start, on the pool of its RL.

    Twice RL's optimiser steps, and well under its processor time, since nothing is sampled. Steps
    and learning rate were chosen on validation: docs/evaluation.md.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    opinions: bool = True
    """Whether the prompts carry the panel's opinions."""
    fit: SupervisedRecipe = SupervisedRecipe(steps=240, learning_rate=2e-3, schedule="cosine")
    style: Style = "compact"
    permute_options: bool = False
    seed: Annotated[int, Field(ge=0)] = 0


class SupervisedTriageRecipe(BaseModel):
    """The triage doctor fine-tuned on gold specialties, from its Start, on the pool of its RL."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fit: SupervisedRecipe = SupervisedRecipe(steps=160, learning_rate=1e-3, schedule="cosine")
    most_imbalance: Annotated[float, Field(ge=1)] = 2.0
    """Cases of one specialty per case of the rarest; above that a specialty's cases are thinned."""
    style: Style = "compact"
    seed: Annotated[int, Field(ge=0)] = 0


class TriageClassifierRecipe(BaseModel):
    """A vision tower with a linear head, taught gold specialties by cross-entropy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fit: SupervisedRecipe = SupervisedRecipe(steps=320, learning_rate=1e-3, schedule="cosine")
    train_tower: bool = True
    """Whether the tower learns too; the head alone is enough only on a pretrained one."""
    most_imbalance: Annotated[float, Field(ge=1)] = 2.0
    seed: Annotated[int, Field(ge=0)] = 0


class BaselinesRecipe(BaseModel):
    """All of them. No task of a run reads this: `mmedagent study` does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    supervised_with_opinions: SupervisedAttendingRecipe = SupervisedAttendingRecipe()
    supervised_without_opinions: SupervisedAttendingRecipe = SupervisedAttendingRecipe(
        opinions=False,
        fit=SupervisedRecipe(steps=240, learning_rate=1e-3, schedule="cosine"),
    )
    triage_supervised: SupervisedTriageRecipe = SupervisedTriageRecipe()
    triage_classifier: TriageClassifierRecipe = TriageClassifierRecipe()
