"""The vocabulary's data types: `Case`, the `Question` that models may see of it, and `Opinion`."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mmedagent.digests import digest_bytes, digest_value

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

AnswerType = Literal["closed", "open"]
"""`closed`: one of a few possible answers is right (yes or no, a choice); `open`: free text."""

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Question(BaseModel):
    """What a model may see of a case: never the answer, the specialty or the tier."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: Annotated[tuple[bytes, ...], Field(repr=False, min_length=1)]
    """The encoded images (PNG or JPEG), in the order that the question speaks of."""
    question: Annotated[str, Field(min_length=1)]
    options: Annotated[tuple[str, ...], Field(min_length=2, max_length=26)]

    @property
    def image_digest(self) -> str:
        """The digest of the images, see `images_digest`."""
        return images_digest(self.images)

    @property
    def letters(self) -> tuple[str, ...]:
        """The options' letters, `A` first."""
        return tuple(LETTERS[: len(self.options)])


class Case(BaseModel):
    """One case: its images, a question about them, and the gold answer.

    A closed question has lettered options, and the answer is the text of one; an open one has none,
    and so has a closed one for which no options could be built. Raises `pydantic.ValidationError`
    when the answer is not one of the options, an option is repeated, an open question has options
    or the specialty is unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    case_id: Annotated[str, Field(min_length=1)]
    images: Annotated[tuple[bytes, ...], Field(repr=False, min_length=1)]
    """The encoded images (PNG or JPEG), in the order that the question speaks of."""
    question: Annotated[str, Field(min_length=1)]
    options: Annotated[tuple[str, ...], Field(max_length=26)]
    answer: str
    """The text of the right option, or of the open answer."""
    answer_type: AnswerType = "closed"
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
    attributes: dict[str, str] = Field(default_factory=dict)
    """What else the source says, that slices are made by: `language`, `body_region`, `sex`, ..."""

    @model_validator(mode="after")
    def _answer_is_an_option(self) -> Self:
        if len(set(self.options)) != len(self.options):
            raise ValueError(f"case {self.case_id}: repeated option in {list(self.options)}")
        if len(self.options) == 1 or (self.options and self.answer_type == "open"):
            raise ValueError(
                f"case {self.case_id}: {self.answer_type} with {len(self.options)} option(s); a"
                " closed question has two or more, or none when none could be built"
            )
        if self.options and self.answer not in self.options:
            raise ValueError(
                f"case {self.case_id}: answer {self.answer!r} is none of {list(self.options)}"
            )
        return self

    @property
    def image_digest(self) -> str:
        """The digest of the images, see `images_digest`."""
        return images_digest(self.images)

    @property
    def letter(self) -> str:
        """The letter of the right option; `ValueError` where there are no options."""
        return LETTERS[self.options.index(self.answer)]

    def view(self) -> Question:
        """Return what a model may see of a multiple-choice case; pydantic refuses the others."""
        return Question(images=self.images, question=self.question, options=self.options)


def images_digest(images: tuple[bytes, ...]) -> str:
    """Return the sha256 of the one encoded image; of several, one over their digests in order."""
    digests = [digest_bytes(image) for image in images]
    return digests[0] if len(digests) == 1 else digest_value(digests)


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
