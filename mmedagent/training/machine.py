"""Whether this machine can do what a training recipe asks: told before anything costly begins."""

from importlib.util import find_spec

from mmedagent.errors import UsageError
from mmedagent.recipes.scale import ScaleRecipe


def check_machine(recipe: ScaleRecipe, where: str) -> None:
    """See that packages and GPUs are there; `where` is the recipe's section, for the message.

    Raises:
        UsageError: vLLM or DeepSpeed is not installed, or there are too few CUDA GPUs, or none.
    """
    _packages(recipe, where)
    if recipe.dtype != "bfloat16" and recipe.vllm is None and recipe.processes == 1:
        return  # torch takes seconds to import, and a CPU will do
    gpus = count_gpus()
    if gpus == 0:
        if recipe.vllm is not None:
            raise UsageError(
                f"{where}.vllm samples on CUDA GPUs and there is none here; for a dry run on a"
                f" CPU: --set {where}.vllm=null"
            )
        if recipe.dtype == "bfloat16":
            raise UsageError(
                f"{where}.dtype is bfloat16, which needs a CUDA GPU, and there is none here; for"
                f" a dry run on a CPU: --set {where}.dtype=float32"
            )
    elif recipe.processes > gpus:
        raise UsageError(
            f"{where}.processes is {recipe.processes} and this machine has {gpus} CUDA GPUs: one"
            f" process uses one; --set {where}.processes={gpus}"
        )


def count_gpus() -> int:
    """Return how many CUDA GPUs this process may use."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _packages(recipe: ScaleRecipe, where: str) -> None:
    if recipe.vllm is not None and find_spec("vllm") is None:
        raise UsageError(
            f"{where}.vllm asks for rollouts by vLLM, which is not installed here: it comes with"
            " the GPU image (extra `cuda`); for rollouts by the model itself:"
            f" --set {where}.vllm=null"
        )
    if recipe.deepspeed is not None and find_spec("deepspeed") is None:
        raise UsageError(
            f"{where}.deepspeed asks for ZeRO, and deepspeed is not installed here: make install;"
            f" without it each process holds a copy (DDP): --set {where}.deepspeed=null"
        )
