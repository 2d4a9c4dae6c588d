"""What of a model is trained: all of it, all but the vision tower, or low-rank adapters.

Adapters are peft's (LoRA), on linear layers of the language model. The model with its adapters
switched off is the one that the stage began with, which TRL takes as the KL reference. Published
are plain weights, the adapters merged into them, so that nothing that comes later knows of peft.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from transformers import Qwen2_5_VLForConditionalGeneration

from mmedagent.recipes.scale import LoraRecipe

FOLDER = "adapter"
"""Where the adapters lie in a published model folder, beside the merged weights."""


def lora_config(recipe: LoraRecipe) -> LoraConfig:
    """Return peft's configuration: adapters on `recipe.layers` of each language model block.

    The expression matches whole names, so that the vision tower's layers of the same names
    (`gate_proj`, `up_proj`, `down_proj`) get none.
    """
    names = "|".join(recipe.layers)
    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=0.0,  # the ratio of two passes over one reply must be that of two policies
        bias="none",
        target_modules=rf"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.({names})",
    )


def freeze_vision(model: Qwen2_5_VLForConditionalGeneration) -> None:
    """Leave the vision tower, with the merger that ends it, out of training."""
    model.model.visual.requires_grad_(False)


def plain(model: torch.nn.Module) -> Any:
    """Return the Qwen2.5-VL inside, whether or not it has adapters."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


def adapter_files(model: torch.nn.Module) -> dict[str, bytes]:
    """Return the adapters as peft reads them, by relative name; nothing for a model without any."""
    if not isinstance(model, PeftModel):
        return {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.save_pretrained(folder)
        config = json.loads((folder / "adapter_config.json").read_bytes())
        # Where the base lay on this machine is nobody's business, and would change the digest.
        config["base_model_name_or_path"] = None
        text = json.dumps(config, indent=2, sort_keys=True) + "\n"
        return {
            f"{FOLDER}/adapter_config.json": text.encode(),
            f"{FOLDER}/adapter_model.safetensors": (
                folder / "adapter_model.safetensors"
            ).read_bytes(),
        }


def merged(model: torch.nn.Module) -> Any:
    """Return the Qwen2.5-VL with its adapters added to its weights; ends the adapters' training.

    Raises `ValueError` when a merged weight is no number.
    """
    return model.merge_and_unload(safe_merge=True) if isinstance(model, PeftModel) else model
