"""How the doctors are trained: supervised, then by reinforcement learning.

The defaults are the laptop's. Coefficients of the tiers are the paper's (METHOD, 'Curriculum').
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mmedagent.recipes.scale import ScaleRecipe

Stage = Literal["easy", "medium", "hard"]
"""The attending's three stages; a tier has the same name as the stage that brings it in."""
STAGES: tuple[Stage, ...] = ("easy", "medium", "hard")


class SupervisedRecipe(BaseModel):
    """One supervised loop: cross-entropy, AdamW, linear warm-up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: Annotated[int, Field(ge=0)] = 50
    batch_size: Annotated[int, Field(ge=1)] = 32
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    warmup_steps: Annotated[int, Field(ge=0)] = 10
    schedule: Literal["constant", "cosine"] = "constant"
    """Of the learning rate after its warm-up: constant, or down to zero after the last step."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    checkpoint_every: Annotated[int, Field(ge=1)] = 100
    """Steps between checkpoints; one is also written when the process is asked to stop."""


class WarmStartRecipe(BaseModel):
    """The supervised warm start that makes a Start out of the base.

    Its height is what matters: SAMPLED accuracy near 0.5. Far below, rollouts have no rewards to
    compare; far above, they have no variance left.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cases: Annotated[int, Field(ge=1)] | None = None
    """How many cases of the warm-start pool are used, balanced over classes; None is all."""
    alone: SupervisedRecipe | None = None
    """Attending only: first steps without opinions, so that it learns to look at the image."""
    fit: SupervisedRecipe = SupervisedRecipe()
    style: Literal["compact", "full"] = "compact"
    permute_options: bool = False
    """Shuffle the options of each case instead of the canonical order of its kind."""
    max_new_tokens: Annotated[int, Field(ge=1)] = 16
    """Of the replies that say how high the Start stands."""
    seed: Annotated[int, Field(ge=0)] = 0


class GrpoRecipe(ScaleRecipe):
    """What both doctors' reinforcement learning shares: METHOD, section 'Training'."""

    prompts_per_step: Annotated[int, Field(ge=1)] = 16
    generations: Annotated[int, Field(ge=2)] = 8
    """G, the rollouts of one prompt."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    warmup_steps: Annotated[int, Field(ge=0)] = 10
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Of the learning rate after its warm-up: constant, or down to zero at the last step."""
    betas: tuple[float, float] = (0.9, 0.99)
    max_grad_norm: Annotated[float, Field(gt=0)] = 0.5
    temperature: Annotated[float, Field(gt=0)] = 1.0
    clip: Annotated[float, Field(gt=0)] = 0.2
    """Epsilon of the clipped ratio."""
    max_new_tokens: Annotated[int, Field(ge=1)] = 12
    drop_groups_without_variance: bool = False
    """Leave groups whose rollouts all got the same reward out of the loss, KL and entropy too."""
    patience_without_variance: Annotated[int, Field(ge=0)] = 20
    """Stop after so many steps in a row without a group whose rewards differ; 0 never stops."""
    shuffle: bool = True
    style: Literal["compact", "full"] = "compact"
    permute_options: bool = False
    checkpoint_every: Annotated[int, Field(ge=1)] = 40
    """Optimiser steps between checkpoints."""
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    def rows_per_process(self) -> int:
        """Completions of one process in one step."""
        return self.prompts_per_step * self.generations // self.processes

    @model_validator(mode="after")
    def _rows_divide(self) -> Self:
        if self.prompts_per_step % self.processes:
            raise ValueError(
                f"prompts_per_step {self.prompts_per_step} over processes {self.processes} is no"
                " whole number: a prompt's rollouts stay in one process"
            )
        if self.micro_batch and self.rows_per_process % self.micro_batch:
            raise ValueError(
                f"micro_batch {self.micro_batch} does not divide the {self.rows_per_process}"
                " completions of a process's step (prompts_per_step x generations / processes)"
            )
        return self


class TriageRecipe(GrpoRecipe):
    """Reinforcement learning of the triage doctor: one KL coefficient, no curriculum."""

    steps: Annotated[int, Field(ge=1)] = 160
    learning_rate: Annotated[float, Field(gt=0)] = 4e-4
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    kl: Annotated[float, Field(ge=0)] = 0.001
    """Beta, the KL coefficient."""
    entropy: Annotated[float, Field(ge=0)] = 0.0
    """Gamma, the entropy bonus's coefficient."""
    most_imbalance: Annotated[float, Field(ge=1)] = 2.0
    """Cases of one specialty per case of the rarest; above that a specialty's cases are thinned."""


class TierCoefficients(BaseModel):
    """What one tier's cases weigh entropy and KL with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entropy: Annotated[float, Field(ge=0)]
    """Gamma, of the entropy bonus."""
    kl: Annotated[float, Field(ge=0)]
    """Beta, of the KL penalty."""


class Coefficients(BaseModel):
    """The three tiers' coefficients: METHOD, section 'Curriculum (C-MARL)'."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    easy: TierCoefficients = TierCoefficients(entropy=0.0001, kl=0.001)
    medium: TierCoefficients = TierCoefficients(entropy=0.005, kl=0.004)
    hard: TierCoefficients = TierCoefficients(entropy=0.03, kl=0.01)


class StageSteps(BaseModel):
    """Optimiser steps of each stage.

    The easy stage is the shortest: where all specialists agree, following any one of them earns
    the whole reward, so it teaches the attending to stop weighing them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    easy: Annotated[int, Field(ge=1)] = 15
    medium: Annotated[int, Field(ge=1)] = 45
    hard: Annotated[int, Field(ge=1)] = 60


class TierDraws(BaseModel):
    """How often a tier's cases are drawn in a stage, beside 1: as often as any other case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    easy: Annotated[float, Field(gt=0)] = 1.0
    medium: Annotated[float, Field(gt=0)] = 1.0
    hard: Annotated[float, Field(gt=0)] = 1.0


class AttendingRecipe(GrpoRecipe):
    """Reinforcement learning of the attending physician in three stages."""

    steps: StageSteps = StageSteps()
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    """Of each stage on its own."""
    order: Literal["easy_to_hard", "shuffled", "hard_to_easy"] = "easy_to_hard"
    """Which tiers come first. `shuffled`: every stage trains on all cases, so a stage is only a
    third of the training. The stages keep their names whatever they train on."""
    stages: Literal["cumulative", "plain"] = "cumulative"
    """`cumulative`: easy; easy and medium; all. `plain`: each tier alone, as in the paper."""
    replay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Plain stages only: the share of a stage's prompts that comes from the tiers before it."""
    draws: TierDraws = TierDraws()
    coefficients: Coefficients = Coefficients()
    entropy_by: Literal["tier", "stage", "constant", "zero"] = "tier"
    """Whose gamma a case takes: its own tier's; its stage's (the schedule follows training, not
    the case); the case-weighted mean of the training pool; or none."""
    kl_by: Literal["tier", "stage", "constant"] = "tier"
    """Whose beta a case takes, likewise."""
    kl_reference: Literal["stage", "start"] = "stage"
    """What the KL penalty pulls towards: the weights that the stage began with, or the Start.
    `stage` is the default because the paper trains each stage from the one before as a run of its
    own, whose reference is where it begins; `start` also holds back what earlier stages learned."""
    drop_groups_without_variance: bool = True

    @model_validator(mode="after")
    def _replay_has_a_meaning(self) -> Self:
        if self.replay and (self.stages != "plain" or self.order == "shuffled"):
            raise ValueError(
                f"replay {self.replay} needs stages: plain and an order other than shuffled: "
                "cumulative and shuffled stages train on the earlier tiers anyway"
            )
        return self

    @model_validator(mode="after")
    def _adapters_can_be_switched_off(self) -> Self:
        if self.lora and self.kl_reference != "stage":
            raise ValueError(
                f"kl_reference {self.kl_reference!r} with lora: the reference is the model with its"
                " adapters switched off, which is what the stage began with; set"
                " kl_reference=stage, or lora=null"
            )
        return self
