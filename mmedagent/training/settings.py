"""TRL's and DeepSpeed's settings for one training, said in full."""

import os
from pathlib import Path
from typing import Any

import torch
from trl import GRPOConfig

from mmedagent.recipes.scale import DeepSpeedRecipe, VllmRecipe
from mmedagent.recipes.training import GrpoRecipe

_SCHEDULES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}

_SECONDS_FOR_PARTNERS = 2 * 3600
"""How long a process waits for the others: one of them hashes whole checkpoints, gigabytes each."""


def grpo_config(recipe: GrpoRecipe, steps: int, kl: float, work: Path) -> GRPOConfig:
    """Say everything in which the paper, a CPU or a recipe differs from TRL's defaults.

    Args:
        recipe: what trains.
        steps: optimiser steps.
        kl: the largest of the tasks' KL coefficients.
        work: where checkpoints go.
    """
    if not torch.cuda.is_available():
        # accelerate imports DeepSpeed wherever it is installed, and it would look for a device.
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    rows = recipe.micro_batch or recipe.rows_per_process
    zero = _deepspeed(recipe.deepspeed, recipe) if recipe.deepspeed else None
    return GRPOConfig(
        output_dir=os.fspath(work),
        # The paper: GRPO's own loss, and a KL gradient without TRL's bias correction.
        loss_type="grpo",
        use_bias_correction_kl=False,
        # Above 0 it makes TRL keep the reference model; the rows' own values are used.
        beta=kl,
        num_iterations=1,
        num_generations=recipe.generations,
        # All rollouts of a step are sampled at once and trained on in micro-batches.
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=recipe.rows_per_process // rows,
        max_completion_length=recipe.max_new_tokens,
        temperature=recipe.temperature,
        epsilon=recipe.clip,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=_SCHEDULES[recipe.schedule],
        warmup_steps=recipe.warmup_steps,
        optim="adamw_torch",
        adam_beta1=recipe.betas[0],
        adam_beta2=recipe.betas[1],
        max_grad_norm=recipe.max_grad_norm,
        max_steps=steps,
        # All steps' prompts are laid out beforehand: the order is a function of the seed alone,
        # which a sampler that shuffles anew in each epoch would not be after a resume.
        shuffle_dataset=False,
        seed=recipe.seed,
        use_cpu=not torch.cuda.is_available(),
        ddp_backend="gloo" if recipe.distributed and not torch.cuda.is_available() else None,
        ddp_timeout=_SECONDS_FOR_PARTNERS,
        # Every prompt has an image, so every trained weight is used in every pass.
        ddp_find_unused_parameters=False,
        deepspeed=zero,
        bf16=recipe.dtype == "bfloat16",
        gradient_checkpointing=recipe.gradient_checkpointing,
        save_strategy="steps",
        save_steps=recipe.checkpoint_every,
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        log_multimodal=False,
        **(_vllm(recipe.vllm) if recipe.vllm else {}),
    )


def _deepspeed(recipe: DeepSpeedRecipe, training: GrpoRecipe) -> dict[str, Any]:
    """Return DeepSpeed's configuration; `auto` is what `Trainer` fills in from its own."""
    zero: dict[str, Any] = {
        "stage": recipe.stage,
        "contiguous_gradients": True,
        "overlap_comm": torch.cuda.is_available(),
    }
    if recipe.stage == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True
    if recipe.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu"}
    if recipe.offload_weights:
        zero["offload_param"] = {"device": "cpu"}
    return {
        "zero_optimization": zero,
        # PyTorch's AdamW, on the CPU too: DeepSpeed's own would be compiled when training starts.
        "zero_force_ds_cpu_optimizer": False,
        "bf16": {"enabled": training.dtype == "bfloat16"},
        "gradient_clipping": training.max_grad_norm,
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
    }


def _vllm(recipe: VllmRecipe) -> dict[str, Any]:
    corrected = recipe.correction != "none"
    return {
        "use_vllm": True,
        "vllm_mode": recipe.mode,
        "vllm_gpu_memory_utilization": recipe.memory_share,
        "vllm_tensor_parallel_size": recipe.tensor_parallel,
        "vllm_server_base_url": recipe.server_url,
        # Sleeping workers once kept the weights that they fell asleep with (TRL #5312).
        "vllm_enable_sleep_mode": False,
        "vllm_importance_sampling_correction": corrected,
        **({"vllm_importance_sampling_mode": recipe.correction} if corrected else {}),
        "vllm_importance_sampling_clip_max": recipe.most_ratio,
    }
