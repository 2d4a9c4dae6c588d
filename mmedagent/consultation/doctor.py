"""What a model must be able to do to take part in a consultation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

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


@dataclass(frozen=True)
class Usage:
    """What a doctor or a panel has spent on its replies so far."""

    replies: int = 0
    prompt_tokens: int = 0
    """Images' tokens among them, padding not."""
    completion_tokens: int = 0
    """The end token among them, padding not."""
    seconds: float = 0.0
    """A doctor's: spent replying. A panel's: summed over its replies, each as long as it took when
    it was asked, which the opinion store remembers."""

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sum, field by field."""
        return Usage(
            self.replies + other.replies,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.seconds + other.seconds,
        )

    def __sub__(self, other: "Usage") -> "Usage":
        """Return what was spent since `other`."""
        return Usage(
            self.replies - other.replies,
            self.prompt_tokens - other.prompt_tokens,
            self.completion_tokens - other.completion_tokens,
            self.seconds - other.seconds,
        )


@runtime_checkable
class Metered(Protocol):
    """A doctor or a panel that counts what it spends."""

    @property
    def usage(self) -> Usage:
        """What it has spent so far."""
        ...


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
