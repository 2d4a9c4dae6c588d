"""What a row of the study does differently from the default recipe."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mmedagent.recipes.training import AttendingRecipe, Stage


class Spec(BaseModel):
    """One row: how its attending came about, and how it is asked.

    The defaults are the system that the recipe trains and measures.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    attending: Literal["rl", "supervised", "start"] = "rl"
    """Trained by reinforcement learning, by supervision on gold answers, or not at all."""
    changes: dict[str, Any] = {}
    """Fields of `training.attending` that differ from the recipe's."""
    stage: Stage = "hard"
    """The last stage that took place."""
    opinions: bool = True
    """Whether the attending hears the panel, in training and when it is measured."""
    triage: Literal["trained", "start", "classifier", "supervised"] = "trained"
    """Who names the specialty."""
    panel: Literal["triage", "random", "all", "gold"] = "triage"
    """In which role the panel is asked: triage's, a random one, every one, the gold one."""
    votes: Annotated[int, Field(ge=0)] = 0
    """Sampled decisions that vote; 0 decides greedily."""

    def recipe(self, default: AttendingRecipe, seed: int) -> AttendingRecipe:
        """Return the recipe that the row's attending is trained with.

        It does not stop where all rewards are equal: a collapse is what the study is to show.
        Raises pydantic's `ValidationError` for a change that the recipe does not know.
        """
        changed = default.model_dump() | self.changes
        changed |= {"seed": seed, "patience_without_variance": 0}
        return AttendingRecipe.model_validate(changed)
