"""Saving a doctor: one folder in Hugging Face's layout, published whole."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import PreTrainedModel, ProcessorMixin
from transformers.utils.logging import disable_progress_bar

from mmedagent.atomic import new_folder, write_json
from mmedagent.digests import digest_folder

disable_progress_bar()


def save_model(
    folder: Path,
    model: PreTrainedModel,
    processor: ProcessorMixin,
    extras: Mapping[str, bytes] | None = None,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> str:
    """Write model, tokenizer and processor to `folder` atomically and return its digest.

    Weights are safetensors only: `weights` by the module's names, if the model's own are divided
    among processes. `extras` are further files, by relative name. Nothing written depends
    on time or machine, so that equal weights give an equal digest.
    """
    with new_folder(folder) as aside:
        write_model(aside, model, processor, weights)
        for name, data in (extras or {}).items():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            (aside / name).write_bytes(data)
    return digest_folder(folder)


def write_model(
    folder: Path,
    model: PreTrainedModel,
    processor: ProcessorMixin,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write model, tokenizer and processor into an existing folder, not atomically."""
    # What a model or tokenizer remembers of where it was loaded from must not be saved.
    model.config._name_or_path = ""
    for key in ("is_local", "local_files_only", "name_or_path"):
        processor.tokenizer.init_kwargs.pop(key, None)
    model.save_pretrained(folder, state_dict=weights)
    processor.save_pretrained(folder)
    # On disk it is an ordinary Qwen2.5-VL processor, which other tools (vLLM) load by that name.
    for name in ("processor_config.json", "tokenizer_config.json"):
        config = json.loads((folder / name).read_text())
        write_json(folder / name, {**config, "processor_class": "Qwen2_5_VLProcessor"})
