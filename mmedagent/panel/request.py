"""One request to one specialist in its canonical form, and the key of the opinion it yields."""

from dataclasses import dataclass
from functools import cached_property

from mmedagent.cases.case import Question, Specialty
from mmedagent.consultation.doctor import Sampling
from mmedagent.consultation.prompts import Messages, Style, specialist_messages
from mmedagent.digests import digest_value


@dataclass(frozen=True)
class Identity:
    """Who answers: by its weights where we hold them, else by all that the endpoint tells.

    `weights` is a digest; then nothing else counts, so that a copy on another port is the same
    specialist. Otherwise endpoint, model, the fingerprint it reports and the recipe's pin count.
    """

    weights: str | None = None
    endpoint: str | None = None
    model: str | None = None
    fingerprint: str | None = None
    pin: str | None = None

    @property
    def digest(self) -> str:
        """The sha256 of the identity's canonical form."""
        if self.weights is not None:
            return digest_value({"weights": self.weights})
        return digest_value(
            {
                "endpoint": self.endpoint,
                "model": self.model,
                "fingerprint": self.fingerprint,
                "pin": self.pin,
            }
        )


@dataclass(frozen=True)
class Request:
    """What is asked of a specialist: everything but the specialist."""

    question: Question
    role: Specialty
    style: Style
    sampling: Sampling

    @cached_property
    def messages(self) -> Messages:
        """The conversation that is sent."""
        return specialist_messages(self.question, self.role, self.style)

    @cached_property
    def digest(self) -> str:
        """The sha256 of the canonical request.

        The prompt template counts through what it makes of this request, so that a change of
        wording asks again, and a change of the code that leaves the words alone does not.
        """
        return digest_value(
            {
                "image": self.question.image_digest,
                "question": self.question.question,
                "options": list(self.question.options),
                "role": self.role,
                "prompt": digest_value({"style": self.style, "messages": self.messages}),
                "sampling": self.sampling.model_dump(exclude={"seed"}),
                "seed": self.sampling.seed,
            }
        )

    def key(self, identity: Identity) -> str:
        """Return the opinion's key in the store: the request and who answers it."""
        return digest_value({"request": self.digest, "specialist": identity.digest})
