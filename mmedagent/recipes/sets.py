"""The declaration of a data set: where its cases come from, and what is made of them.

`mmedagent data add` writes one to `params.yaml` (section `data_sets`), where the set's DVC stage
finds it.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mmedagent.recipes.privacy import PrivacyRecipe

OWN = "own"
"""The source of a hospital's own cases, whose words may name a patient."""
Share = Annotated[float, Field(ge=0, lt=1)]


class LimitsRecipe(BaseModel):
    """What a release may hold at most: the guard against bombs and broken tables."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_members: Annotated[int, Field(ge=1)] = 2_000_000
    """Files in an archive or folder."""
    max_member_bytes: Annotated[int, Field(ge=1)] = 2 * 2**30
    """One file, unpacked."""
    max_total_bytes: Annotated[int, Field(ge=1)] = 200 * 2**30
    """All files, unpacked."""
    max_ratio: Annotated[float, Field(ge=1)] = 200.0
    """Unpacked to packed size of one member above 1 MiB: real images and tables stay far below."""
    max_image_bytes: Annotated[int, Field(ge=1)] = 512 * 2**20
    """One encoded image, DICOM or NIfTI file."""
    max_pixels: Annotated[int, Field(ge=1)] = 100_000_000
    """Pixels of one decoded picture, judged by what its header claims."""
    max_question_chars: Annotated[int, Field(ge=1)] = 4_000
    """Characters of a question or answer; a longer one is a report pasted into the wrong column."""
    max_bad_cases: Annotated[int, Field(ge=0)] = 0
    """So many questions that cannot be read are left out and named; one more ends the ingest."""


class ImagesRecipe(BaseModel):
    """How images are stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_side: Annotated[int, Field(ge=28, le=4096)] = 672
    """Larger images are scaled down to this longer side, in pixels; smaller ones stay."""


class PoolsRecipe(BaseModel):
    """Which share of the subjects of the source's `train` split goes to pools that it lacks.

    Official `validation` and `test` splits are never touched. A subject goes as a whole, by a hash
    of its name, so that adding cases moves none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    validation: Share = 0.1
    """Only where the source has no validation split of its own."""
    warm_start: Share = 0.1
    panel: Share = 0.0
    """For a panel that is trained, as the laptop's is."""

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        if self.validation + self.warm_start + self.panel >= 1:
            raise ValueError("validation, warm_start and panel together leave nothing to train on")
        return self


class SourceRecipe(BaseModel):
    """Which adapter reads the release, and its settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """An adapter: `vqa-rad`, `slake`, `path-vqa`, `omni-med-vqa`, `mmmu`, `own`, `sets`."""
    languages: Annotated[tuple[str, ...], Field(min_length=1)] = ("en",)
    """SLAKE: `en`, `zh` or both."""
    mapping: str | None = None
    """Own cases: the mapping file that names the table's columns, relative to the repository."""


class DataSetRecipe(BaseModel):
    """One data set: everything that decides the bytes of its data version beside the code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    source: SourceRecipe
    release: str
    """The release: a file or folder, relative to the repository."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the release's file, or of its folder (`digests.digest_folder`): verified on arrival."""
    pools: PoolsRecipe = PoolsRecipe()
    images: ImagesRecipe = ImagesRecipe()
    limits: LimitsRecipe = LimitsRecipe()
    privacy: PrivacyRecipe = PrivacyRecipe()
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the distractors and their order."""
