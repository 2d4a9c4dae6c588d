"""The data section of a recipe: how the starter set is cut, and what a valid data set is."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

PoolCounts = dict[str, Annotated[int, Field(ge=0)]]
"""Pool -> a number of images or questions."""


def _quota() -> dict[str, PoolCounts]:
    return {
        "Radiologist": dict(panel=120, warm_start=30, train=96, validation=44, test=92),
        "Pathologist": dict(panel=64, warm_start=18, train=60, validation=28, test=52),
        "Ophthalmologist": dict(panel=64, warm_start=16, train=52, validation=26, test=52),
        "Dermatologist": dict(panel=64, warm_start=18, train=56, validation=26, test=52),
    }


def _questions() -> PoolCounts:
    return {"panel": 4, "warm_start": 4, "train": 4, "validation": 4, "test": 4}


class DataRecipe(BaseModel):
    """How the starter set is cut from the images that packages carry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "starter"
    image_size: Annotated[int, Field(ge=28, le=1024)] = 84
    """Side of the square RGB images, in pixels."""
    quota: dict[str, PoolCounts] = Field(default_factory=_quota)
    """Specialty -> pool -> at most so many images, taken evenly over the pool's sources."""
    questions_per_image: PoolCounts = Field(default_factory=_questions)
    """Pool -> at most so many questions about one image."""


FindingKind = Literal[
    "same_image",
    "same_pixels",
    "near_duplicate",
    "crowded_hashes",
    "hidden_case",
    "subject_in_pools",
    "contradiction",
    "answer_in_question",
    "constant_image",
    "blank_image",
    "specialty_imbalance",
    "answer_share",
    "option_order",
    "drift",
    "label_noise",
]
"""What a check of the whole data set can find; `docs/validation.md` describes each."""

Policy = Literal["stop", "warn", "off"]
"""Whether a finding that nobody has reviewed ends the run, is only shown, or is not looked for."""


class ValidationRecipe(BaseModel):
    """What a data set must be like before anything is trained on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_side: Annotated[int, Field(ge=1)] = 28
    """Least width and height of an image, in pixels."""
    max_pixels: Annotated[int, Field(ge=1)] = 4_194_304
    """Most pixels of an image: what claims more is refused before it is decoded."""
    max_bytes: Annotated[int, Field(ge=1)] = 16_777_216
    """Most bytes of an encoded image."""
    modalities: tuple[str, ...] = (
        "CT",
        "MRI",
        "X-ray",
        "ultrasound",
        "histology",
        "fundus",
        "dermoscopy",
    )
    """The modalities that may occur."""
    pools: tuple[str, ...] = ("panel", "warm_start", "train", "validation", "test")
    """The pools that must not be empty."""
    max_imbalance: Annotated[float, Field(ge=1)] = 2.1
    """Most times that the commonest specialty of the train pool may outnumber the rarest."""
    max_answer_share: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Largest share of one answer among the train pool's questions of one type."""
    near_duplicate_bits: Annotated[int, Field(ge=0, le=256)] = 20
    """Images of two pools whose 256-bit perceptual hashes differ in so many bits or fewer leak.

    An image encoded anew or scaled differs from itself in 0 to 6 bits, most neighbouring slices of
    one series in 2 to 26; pictures of different subjects differ in 36 and more in the starter set.
    """
    max_crowd: Annotated[int, Field(ge=2)] = 4_000
    """Images that share a band of the perceptual hash are compared pair by pair up to this number;
    a larger crowd is left out and reported as `crowded_hashes`."""
    blank_spread: Annotated[float, Field(ge=0)] = 2.0
    """Images whose grey levels (0 to 255) have a smaller standard deviation are blank."""
    max_question_chars: Annotated[int, Field(ge=1)] = 4_000
    """Most characters of a question."""
    max_drift: Annotated[float, Field(gt=0, le=1)] = 0.15
    """Largest total variation distance between a distribution and that of the version before."""
    max_order_bias: Annotated[float, Field(gt=0, le=1)] = 0.1
    """How much more often than chance (as a share) one letter may be right."""
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.001
    """Drift and order bias are found only where chance is this unlikely, too."""
    policy: dict[FindingKind, Policy] = Field(default_factory=dict)
    """What findings of a kind do, where it is not the kind's own default."""
