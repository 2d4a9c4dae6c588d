"""What a model must be able to do to take part in a consultation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from mmedagent.cases.case import Opinion, Question, Specialty
from mmedagent.consultation.prompts import Messages


@dataclass(frozen=True)
class Prompt:
    """One conversation with its images, in the order of its image placeholders."""

    messages: Messages
    images: tuple[bytes, ...]


class Sampling(BaseModel):
    """How replies are drawn. Temperature 0 is greedy; the same seed gives the same replies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(default=0.0, ge=0.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    max_new_tokens: int = Field(default=24, ge=1)
    seed: int = 0


class Doctor(Protocol):
    """A model that replies to prompts: the triage doctor or the attending physician."""

    def reply(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        """Return one reply to each prompt, in order."""
        ...


class Panel(Protocol):
    """The e specialists."""

    def opinions(
        self, questions: Sequence[Question], roles: Sequence[Specialty]
    ) -> list[tuple[Opinion, ...]]:
        """Return each question's opinions, one a specialist, in the panel's fixed order."""
        ...
