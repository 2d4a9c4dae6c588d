"""Loading a doctor: the same code for the tiny model and for `Qwen/Qwen2.5-VL-7B-Instruct`."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import AutoTokenizer, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.utils.logging import disable_progress_bar

from mmedagent.errors import BrokenEvidenceError
from mmedagent.models.processor import ImageOnlyProcessor

# A bar for each of forty small tensors says nothing; long work tells `mmedagent.progress`.
disable_progress_bar()


def load_model(
    path_or_id: str | Path,
    *,
    local_files_only: bool = True,
    revision: str | None = None,
    dtype: str = "float32",
) -> Qwen2_5_VLForConditionalGeneration:
    """Load a model's weights, in evaluation mode; `dtype` "auto" is what they are stored in.

    Safetensors only, no code from the folder is run. Raises `BrokenEvidenceError` when the
    folder is missing, incomplete or holds something else.
    """
    _check(path_or_id)
    try:
        model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            str(path_or_id),
            local_files_only=local_files_only,
            revision=revision or "main",
            dtype=dtype if dtype == "auto" else getattr(torch, dtype),
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise BrokenEvidenceError(f"cannot load a model from {path_or_id}: {error}") from error
    return model.eval()


def load_processor(
    path_or_id: str | Path, *, local_files_only: bool = True, revision: str | None = None
) -> ImageOnlyProcessor:
    """Load tokenizer, chat template and image processor, padding on the left for generation.

    Raises `BrokenEvidenceError` as `load_model` does.
    """
    _check(path_or_id)
    wanted = {"local_files_only": local_files_only, "revision": revision or "main"}
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(path_or_id), trust_remote_code=False, padding_side="left", **wanted
        )
        images = Qwen2VLImageProcessorPil.from_pretrained(str(path_or_id), **wanted)
        return ImageOnlyProcessor(image_processor=images, tokenizer=tokenizer)
    except (OSError, ValueError, KeyError) as error:
        raise BrokenEvidenceError(f"cannot load a processor from {path_or_id}: {error}") from error


def best_device() -> str:
    """Return where a model in use is best held: the first CUDA GPU if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def _check(path_or_id: str | Path) -> None:
    if isinstance(path_or_id, Path) and not (path_or_id / "config.json").is_file():
        raise BrokenEvidenceError(f"{path_or_id} is no model folder: it has no config.json")
