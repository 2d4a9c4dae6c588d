"""How a training step is spread: what is trained, in which numbers, over how many processes.

The defaults are the laptop's: all weights, float32, one process on a CPU.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class LoraRecipe(BaseModel):
    """Low-rank adapters (Hu et al., 2021) on linear layers of the language model alone.

    The KL reference is the model with its adapters switched off, so none is held beside it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: Annotated[int, Field(ge=1)] = 32
    alpha: Annotated[float, Field(gt=0)] = 64
    """An adapter's product is scaled by alpha / rank."""
    layers: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    )
    """The names of the linear layers that get one, in each block of the language model."""


class DeepSpeedRecipe(BaseModel):
    """ZeRO: what the processes divide among them instead of each holding a copy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: Literal[2, 3] = 3
    """2: gradients and optimiser state. 3: weights too."""
    offload_optimizer: bool = False
    """Keep the optimiser's state in main memory: slower, and for a few gigabytes of GPU memory."""
    offload_weights: bool = False
    """Keep the divided weights in main memory; stage 3 only."""

    @model_validator(mode="after")
    def _weights_are_divided(self) -> Self:
        if self.offload_weights and self.stage != 3:
            raise ValueError(
                f"offload_weights needs stage 3: in stage {self.stage} each process holds all"
                " weights; set stage=3 or offload_weights=false"
            )
        return self


class VllmRecipe(BaseModel):
    """Rollouts by vLLM, which TRL gives the new weights before each step.

    vLLM is no dependency of the CPU environment: it comes with the GPU image (extra `cuda`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["colocate", "server"] = "colocate"
    """`colocate`: on the training GPUs, in turns. `server`: a `trl vllm-serve` on other GPUs."""
    memory_share: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Of each training GPU's memory; colocate only."""
    tensor_parallel: Annotated[int, Field(ge=1)] = 1
    """GPUs that share one copy of the model; colocate only."""
    server_url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    """The server's address; server mode only."""
    correction: Literal["none", "token_truncate", "sequence_mask"] = "sequence_mask"
    """vLLM's probabilities differ a little from the trainer's. `token_truncate` weighs each token
    of the policy term by the ratio of the two, at most `most_ratio`; `sequence_mask`, TRL's
    default, weighs a whole completion by their product and leaves it out above `most_ratio`."""
    most_ratio: Annotated[float, Field(gt=1)] = 3.0

    @model_validator(mode="after")
    def _address_fits_mode(self) -> Self:
        if (self.mode == "server") != (self.server_url is not None):
            raise ValueError(
                f"mode {self.mode!r} with server_url {self.server_url!r}: a server needs its"
                " address, and colocated rollouts have none"
            )
        return self


class ScaleRecipe(BaseModel):
    """What training by reinforcement asks of the machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lora: LoraRecipe | None = None
    """Train adapters and merge them into the published weights; None trains the weights."""
    freeze_vision: bool = False
    """Leave the vision tower (and its merger) as it is."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What the forward pass computes in. Trained numbers are float32 either way: the adapters, or
    the copy of the weights that ZeRO keeps. bfloat16 needs a CUDA GPU."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them."""
    micro_batch: Annotated[int, Field(ge=1)] | None = None
    """Completions of one process in one forward and backward pass; None is all of a step's.
    Changes memory and time, not the step: gradients are summed up."""
    processes: Annotated[int, Field(ge=1)] = 1
    """Processes on this machine, started by torchrun, one a GPU (gloo on a CPU)."""
    deepspeed: DeepSpeedRecipe | None = None
    """Divide training state among the processes; None gives each a copy (DDP)."""
    vllm: VllmRecipe | None = None
    """Who samples the rollouts; None is the trained model itself, by transformers."""

    @property
    def distributed(self) -> bool:
        """Whether training runs under torchrun."""
        return self.processes > 1 or self.deepspeed is not None

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.lora and self.deepspeed:
            raise ValueError(
                "lora with deepspeed is not supported: adapters are small, ZeRO has nothing to"
                " divide; set deepspeed=null and keep processes, or lora=null"
            )
        if self.lora and not self.freeze_vision:
            raise ValueError(
                "lora trains the language model alone: set freeze_vision=true, or lora=null"
            )
        if self.dtype == "bfloat16" and not (self.lora or self.deepspeed):
            raise ValueError(
                "dtype bfloat16 with neither lora nor deepspeed would round small updates away:"
                " nothing keeps a float32 copy of the weights; set one of them, or dtype=float32"
            )
        return self
