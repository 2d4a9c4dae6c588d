"""How a pair of doctors is measured."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from mmedagent.cases.case import Pool
from mmedagent.consultation.prompts import Style

Cluster = Literal["image", "subject"]
"""What one bootstrap draw takes whole: all questions on an image, or all on a subject."""


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
    role_effect: bool = True
    """Ask the panel on the selection pool under the right role and under a wrong one."""
    cluster: Cluster = "image"
    resamples: Annotated[int, Field(ge=100)] = 10_000
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    bar_images: Annotated[int, Field(ge=1)] = 20
    """A specialty with fewer images than this is reported with its interval and carries no bar."""
