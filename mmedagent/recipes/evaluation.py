"""How a pair of doctors is measured."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mmedagent.cases.case import SPECIALTIES, Pool, Specialty
from mmedagent.consultation.prompts import Style

Cluster = Literal["image", "subject"]
"""What one bootstrap draw takes whole: all questions on an image, or all on a subject."""

Baseline = Literal[
    "no_attending_rl",
    "easy_only",
    "easy_and_medium",
    "without_c_marl",
    "without_specialists",
    "supervised_with_opinions",
    "supervised_without_opinions",
    "self_vote",
    "challenger_vote",
    "random_specialty",
    "all_specialties",
    "gold_specialty",
    "triage_classifier",
    "triage_supervised",
]
"""What the challenger is compared with beside the Start, the champion and the panel, by name; each
is described in docs/evaluation.md."""
OF_A_RUN: frozenset[Baseline] = frozenset({"easy_only", "easy_and_medium"})
"""Models of their own that every run trains on its way."""
OF_THEIR_OWN: frozenset[Baseline] = frozenset(
    {
        "without_c_marl",
        "supervised_with_opinions",
        "supervised_without_opinions",
        "triage_classifier",
        "triage_supervised",
    }
)
"""Models of their own that no run trains: the study does, or whoever calls their trainer."""


class EvaluationRecipe(BaseModel):
    """What is asked of the systems, and how sure the figures are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pool: Pool = "test"
    """The pool that is measured: nothing may have been trained or chosen on it."""
    selection_pool: Pool = "validation"
    """Where the best single specialist is chosen and the effect of the role is measured."""
    style: Style = "compact"
    """The prompts' style; part of a version, so it must be the one that is served."""
    max_new_tokens: Annotated[int, Field(ge=1)] = 24
    batch_size: Annotated[int, Field(ge=1)] = 128
    """Consultations held side by side; changes memory and time, not what is measured."""
    samples: Annotated[int, Field(ge=0)] = 2
    """Sampled replies a case, beside the greedy one; 0 measures greedy only."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Of the sampled replies."""
    seed: int = 20240601
    """Of the sampled replies, the option permutations and the bootstrap."""
    text_only: bool = True
    """Ask the challenger with each image replaced by one constant grey image."""
    options_permuted: bool = True
    """Ask the challenger with each case's options in another order."""
    baselines: tuple[Baseline, ...] = (
        "no_attending_rl",
        "easy_only",
        "easy_and_medium",
        "without_specialists",
        "self_vote",
        "challenger_vote",
        "random_specialty",
    )
    """Which further systems are measured. One that is a model of its own needs that model's
    folder; of those, a run has `easy_only` and `easy_and_medium`. Left out by default is what asks
    the panel about every case again, or many times, and `gold_specialty`, which no triage is."""
    votes: Annotated[int, Field(ge=1)] = 5
    """Sampled decisions a case in `self_vote` and `challenger_vote`."""
    all_roles: Annotated[tuple[Specialty, ...], Field(min_length=1)] = SPECIALTIES
    """As whom `all_specialties` asks the panel; each is one call more to every specialist."""
    role_effect: bool = True
    """Ask the panel on the selection pool under the right role and under a wrong one."""
    cluster: Cluster = "image"
    resamples: Annotated[int, Field(ge=100)] = 10_000
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    bar_images: Annotated[int, Field(ge=1)] = 20
    """A specialty with fewer images than this is reported with its interval and carries no bar."""

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        for name, listed in (("baselines", self.baselines), ("all_roles", self.all_roles)):
            twice = sorted({entry for entry in listed if listed.count(entry) > 1})
            if twice:
                raise ValueError(f"{name}: {', '.join(twice)} is listed twice")
        return self
