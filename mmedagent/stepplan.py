"""What a task of the DAG is told: everything that decides its result, and nothing else.

KFP's cache key is component, image and arguments: it sees neither the content of an input nor the
library's code. So a task's one parameter is its plan, which carries both as digests.
"""

import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from mmedagent.digests import canonical_json, digest_value
from mmedagent.errors import UsageError


class StepPlan(BaseModel):
    """One planned task. Two tasks with equal plans have equal results."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    task: str
    """The task's name in the DAG: `attending-easy`."""
    recipe: dict[str, Any]
    """The sections of the recipe that the step reads, by name."""
    versions: dict[str, str]
    """What it fetches by itself: `data`, `before`, `base`, `panel` (DVC folder md5),
    `champion` (version)."""
    inputs: str
    """The digest of its inputs: over the plans of the tasks before it, and `versions`."""
    code: str
    """The digest of the sources that the step reaches, and of the lock file."""

    @property
    def digest(self) -> str:
        """The sha256 of the whole plan: names the step's work folder."""
        return digest_value(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as plain JSON values."""
        return self.model_dump(mode="json")

    def as_json(self) -> str:
        """Return the plan as canonical JSON: the task's argument.

        A string, because a KFP struct turns every whole number into a float. Raises `ValueError`
        for a number that JSON has not (infinite, or none).
        """
        return canonical_json(self.as_dict()).decode()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a plan back.

        Raises:
            UsageError: `text` is not a plan.
        """
        try:
            return cls.model_validate(json.loads(text))
        except (ValueError, ValidationError) as error:
            raise UsageError(f"not a planned task: {error}") from None
