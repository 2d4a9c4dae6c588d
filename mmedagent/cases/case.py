"""The vocabulary's data types: `Case`, the `Question` that models may see of it, and `Opinion`."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mmedagent.digests import digest_bytes

Specialty = Literal[
    "Pathologist",
    "Radiologist",
    "Surgeon",
    "Oncologist",
    "Endocrinologist",
    "Ophthalmologist",
    "Dermatologist",
]
SPECIALTIES: tuple[Specialty, ...] = (
    "Pathologist",
    "Radiologist",
    "Surgeon",
    "Oncologist",
    "Endocrinologist",
    "Ophthalmologist",
    "Dermatologist",
)
"""The seven specialties of the paper, section 'Triage doctor'."""

Pool = Literal["panel", "warm_start", "train", "validation", "test"]
POOLS: tuple[Pool, ...] = ("panel", "warm_start", "train", "validation", "test")
"""Disjoint by subject or source: who may learn from a case, or be measured on it."""

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Question(BaseModel):
    """What a model may see of a case: never the answer, the specialty or the tier."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: Annotated[bytes, Field(repr=False)]
    """The encoded image (PNG or JPEG)."""
    question: Annotated[str, Field(min_length=1)]
    options: Annotated[tuple[str, ...], Field(min_length=2, max_length=26)]

    @property
    def image_digest(self) -> str:
        """The sha256 of the encoded image."""
        return digest_bytes(self.image)

    @property
    def letters(self) -> tuple[str, ...]:
        """The options' letters, `A` first."""
        return tuple(LETTERS[: len(self.options)])


class Case(BaseModel):
    """One case: an image, a multiple-choice question about it, and its gold answer.

    Raises `pydantic.ValidationError` when the answer is not one of the options, an option is
    repeated or the specialty is unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    case_id: Annotated[str, Field(min_length=1)]
    image: Annotated[bytes, Field(repr=False)]
    question: Annotated[str, Field(min_length=1)]
    options: Annotated[tuple[str, ...], Field(min_length=2, max_length=26)]
    answer: str
    """The text of the right option."""
    question_type: str
    """The kind of question: `modality`, `region`, `plane`, ..."""
    modality: str
    """The image's modality as its source names it: `CT`, `MR`, `histology`, ..."""
    specialty: Specialty
    """The gold specialty, from the modality."""
    source: str
    """The package or data set the image came from."""
    subject: str
    """Who or what the image shows: the unit that pools are split by, and statistics cluster by."""
    pool: Pool

    @model_validator(mode="after")
    def _answer_is_an_option(self) -> Self:
        if len(set(self.options)) != len(self.options):
            raise ValueError(f"case {self.case_id}: repeated option in {list(self.options)}")
        if self.answer not in self.options:
            raise ValueError(
                f"case {self.case_id}: answer {self.answer!r} is none of {list(self.options)}"
            )
        return self

    @property
    def image_digest(self) -> str:
        """The sha256 of the encoded image."""
        return digest_bytes(self.image)

    @property
    def letter(self) -> str:
        """The letter of the right option."""
        return LETTERS[self.options.index(self.answer)]

    def view(self) -> Question:
        """Return what a model may see."""
        return Question(image=self.image, question=self.question, options=self.options)


class Opinion(BaseModel):
    """What one specialist said of one case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    specialist: str
    """The specialist's name in the recipe's panel, stable over a panel's life."""
    role: Specialty
    """The specialty it was asked to answer as."""
    letter: str | None
    """The letter it chose; None is 'no opinion': the reply could not be read as an option."""
    reasoning: str
    raw: str
    """The reply as it came."""
