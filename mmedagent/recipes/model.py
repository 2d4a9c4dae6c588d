"""What a doctor is built from: a tiny model of the real architecture, or a pretrained one."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class TinyModel(BaseModel):
    """The shape of a tiny `Qwen2_5_VLForConditionalGeneration`, small enough for two CPU cores.

    The defaults give about 0.3 million parameters: an image of 84 x 84 pixels is 6 x 6 patches of
    14 pixels, merged two by two into 9 image tokens.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden_size: Annotated[int, Field(ge=16, multiple_of=8)] = 64
    layers: Annotated[int, Field(ge=1)] = 2
    heads: Annotated[int, Field(ge=1)] = 4
    intermediate_size: Annotated[int, Field(ge=16)] = 128
    vision_depth: Annotated[int, Field(ge=1)] = 1
    vision_hidden_size: Annotated[int, Field(ge=16, multiple_of=8)] = 64
    patch_size: Annotated[int, Field(ge=2)] = 14
    image_size: Annotated[int, Field(ge=28)] = 84
    """Pixels of a side: larger images are shrunk to this area, and smaller ones enlarged."""
    embedding_std: Annotated[float, Field(gt=0)] = 0.1
    """Standard deviation of the embeddings; other matrices get 1/sqrt(fan-in)."""
    merges: Annotated[int, Field(ge=0)] = 4096
    """Most merges of the byte-level BPE: enough that each word of the prompts is one token."""

    @model_validator(mode="after")
    def _dimensions_fit(self) -> Self:
        if self.hidden_size % self.heads or (self.hidden_size // self.heads) % 4:
            raise ValueError(
                f"hidden_size {self.hidden_size} over heads {self.heads} must give a head of a"
                " multiple of 4 (rotary sections of time, height and width)"
            )
        if self.image_size % (2 * self.patch_size):
            raise ValueError(
                f"image_size {self.image_size} must be a multiple of twice patch_size"
                f" {self.patch_size}: patches are merged two by two"
            )
        return self


class ModelRecipe(BaseModel):
    """The base that both doctors start from.

    `tiny` is built from `tiny` and `seed`; `pretrained` is `path`, a folder or a Hugging Face id
    such as `Qwen/Qwen2.5-VL-7B-Instruct`, fetched only when `local_files_only` is off. Either way
    the DVC stage `base` makes it, before a run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["tiny", "pretrained"] = "tiny"
    path: str = "models/base"
    revision: str | None = None
    """A commit of the Hugging Face repository; None is whatever is there, so pin it."""
    local_files_only: bool = True
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What the base is stored in, and so what doctors that were not trained further are used in."""
    style: Literal["compact", "full"] = "compact"
    """Which wording of the prompts the model reads: `mmedagent.consultation.prompts`."""
    tiny: TinyModel = TinyModel(vision_depth=2)
    seed: Annotated[int, Field(ge=0)] = 0
