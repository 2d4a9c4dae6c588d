"""What the evidence must show before a challenger may replace the champion."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mmedagent.cases.case import Pool
from mmedagent.recipes.evaluation import Cluster


class GateRecipe(BaseModel):
    """The gate's policy: every comparison must pass, so no correction for several tests is due.

    (An intersection-union test: the chance of a wrong pass is at most that of its weakest part.)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pool: Pool = "test"
    """The pool that the evaluation must have measured: figures of another are no evidence."""
    superior_to: tuple[str, ...] = ("panel_majority",)
    """Systems that the challenger must beat: the interval's lower end lies above `superiority`."""
    superiority: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """By how much more than this the challenger must be more accurate."""
    not_inferior_to: tuple[str, ...] = ("champion",)
    """Systems against which the challenger may lose at most `margin`."""
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """The largest loss of accuracy that is accepted."""
    effect_of_interest: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """The smallest superiority worth finding: an evaluation that would miss it is too small."""
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Two-sided: intervals cover 1 - alpha, a one-sided claim errs with alpha / 2."""
    power: Annotated[float, Field(gt=0.5, lt=1)] = 0.8
    """The chance that an effect of the size in question would have been detected."""
    min_cases: Annotated[int, Field(ge=2)] = 100
    """Fewer cases than this decide nothing, whatever they show."""
    min_clusters: Annotated[int, Field(ge=2)] = 50
    """Fewer independent clusters (images or subjects) than this decide nothing."""
    cluster: Cluster = "image"
    resamples: Annotated[int, Field(ge=100)] = 10_000
    seed: int = 20240601
    """The evaluation's, so that both show the same interval for the same difference."""
