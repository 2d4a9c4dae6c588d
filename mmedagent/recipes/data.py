"""The data section of a recipe: how the starter set is cut, and what a valid data set is."""

from typing import Annotated

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
