"""GRPO with TRL: how its trainer is configured, fed, resumed and stopped."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback
from trl import GRPOConfig

from mmedagent.cases.case import Case
from mmedagent.consultation.doctor import Prompt
from mmedagent.digests import digest_folder
from mmedagent.errors import BadDataError
from mmedagent.models.images import open_image
from mmedagent.models.load import load_model, load_processor
from mmedagent.models.save import save_model
from mmedagent.models.speed import speed_up
from mmedagent.recipes.training import GrpoRecipe
from mmedagent.training.checkpoints import AtomicCheckpoints, StopWithCheckpoint, last_checkpoint
from mmedagent.training.curves import FILE, Progress, curve, curve_bytes
from mmedagent.training.fingerprint import architecture, data_digest
from mmedagent.training.guards import StopWithoutVariance
from mmedagent.training.interrupt import stop_requests
from mmedagent.training.loss import DoctorTrainer
from mmedagent.training.reward import Judge, reward_functions


@dataclass(frozen=True)
class Task:
    """One prompt to roll out: its case (for the reward) and its coefficients."""

    prompt: Prompt
    case: Case
    entropy: float
    """Gamma."""
    kl: float
    """Beta."""
    draws: float = 1.0
    """How often it is drawn in an epoch, on average."""


_SCHEDULES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}


class _Trainer(AtomicCheckpoints, DoctorTrainer):
    """TRL's trainer with per-row coefficients and whole checkpoints."""


def train(
    tasks: Sequence[Task],
    judge: Judge,
    start: Path,
    recipe: GrpoRecipe,
    steps: int,
    *,
    stage: str,
    out: Path,
    work: Path,
    reference: Path | None = None,
) -> dict[str, Any]:
    """Train the model in `start` on `tasks` and publish it, with its curve, in `out`.

    The KL penalty refers to the model in `reference`, or to `start` if that is None.

    `work` keeps checkpoints: the same call after a kill goes on from the last one, to the same
    weights. Raises `BadDataError` without tasks, `InterruptedWithCheckpoint` when asked to stop,
    and `MMedAgentError` when a reward, the loss or the gradient is no number (the batch's cases are
    then listed in `work`) or when rewards have long had no variance. Returns facts for the run's
    record.
    """
    if not tasks:
        raise BadDataError(f"{stage}: no cases to train on")
    work.mkdir(parents=True, exist_ok=True)
    processor = load_processor(start)
    model = speed_up(load_model(start)).train()
    # Qwen2.5-VL keeps these in its text part alone; `Trainer` looks here, and would add the end
    # token to the generation config once more in each stage.
    model.config.eos_token_id = processor.tokenizer.eos_token_id
    model.config.pad_token_id = processor.tokenizer.pad_token_id
    # TRL loads the reference model from where the policy says it came from.
    model.config._name_or_path = os.fspath(reference or start)
    began = time.perf_counter()
    with stop_requests() as request:
        trainer = _Trainer(
            model=model,
            args=_config(recipe, steps, tasks, work),
            reward_funcs=reward_functions([task.case for task in tasks], judge),
            train_dataset=_data_set(tasks, recipe, steps),
            processing_class=processor,
            callbacks=[
                Progress(stage, work / FILE),
                StopWithCheckpoint(request),
                StopWithoutVariance(stage, recipe.patience_without_variance),
            ],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.drop_groups_without_variance = recipe.drop_groups_without_variance
        trainer.case_ids = [task.case.case_id for task in tasks]
        if trainer.ref_model is not None:
            speed_up(trainer.ref_model)
        trainer.stage = stage
        trainer.fingerprint = {
            "stage": stage,
            "steps": steps,
            "processes": trainer.args.world_size,
            "architecture": architecture(trainer.model),
            "start": digest_folder(start),
            "reference": digest_folder(reference or start),
            "recipe": recipe.model_dump(mode="json", exclude={"checkpoint_every"}),
            "tasks": data_digest(tasks),
            "order": data_digest(trainer.train_dataset.with_format(None)["row"]),
        }
        checkpoint = last_checkpoint(work)
        trainer.train(resume_from_checkpoint=os.fspath(checkpoint) if checkpoint else None)
        if trainer.state.global_step < steps:
            raise request.stopped(str(work))
    records = curve(stage, trainer.state.log_history)
    save_model(out, trainer.model, processor, {FILE: curve_bytes(records)})
    return {
        "stage": stage,
        "steps": steps,
        "tasks": len(tasks),
        "seconds": round(time.perf_counter() - began, 3),
        "reward_first": _mean(records[:10], "reward"),
        "reward_last": _mean(records[-10:], "reward"),
    }


def _config(recipe: GrpoRecipe, steps: int, tasks: Sequence[Task], work: Path) -> GRPOConfig:
    """Say everything in which the paper, or a CPU, differs from TRL's defaults."""
    return GRPOConfig(
        output_dir=os.fspath(work),
        # The paper: GRPO's own loss, and a KL gradient without TRL's bias correction.
        loss_type="grpo",
        use_bias_correction_kl=False,
        # Above 0 it makes TRL keep the reference model; the rows' own values are used.
        beta=max(task.kl for task in tasks),
        num_iterations=1,
        num_generations=recipe.generations,
        per_device_train_batch_size=recipe.prompts_per_step * recipe.generations,
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
        # `_data_set` lays out every step's prompts: the order is a function of the seed alone,
        # which a sampler that shuffles anew in each epoch would not be after a resume.
        shuffle_dataset=False,
        seed=recipe.seed,
        use_cpu=not torch.cuda.is_available(),
        bf16=False,
        gradient_checkpointing=False,
        save_strategy="steps",
        save_steps=recipe.checkpoint_every,
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        log_multimodal=False,
    )


def prompt_order(draws: Sequence[float], recipe: GrpoRecipe, steps: int) -> list[int]:
    """Return which task each prompt of the whole training is: shuffled epochs, end to end.

    A task whose `draws` is 1.3 is in each epoch once, and in three of ten twice. The order is a
    function of the recipe's seed alone.
    """
    wanted = steps * recipe.prompts_per_step
    generator = torch.Generator().manual_seed(recipe.seed)
    often = torch.tensor(draws, dtype=torch.float64)
    order: list[int] = []
    while len(order) < wanted:
        epoch = torch.arange(len(draws))
        if bool((often != 1).any()):
            chance = torch.rand(len(draws), generator=generator, dtype=torch.float64)
            epoch = epoch.repeat_interleave((often + chance).floor().long())
        if recipe.shuffle:
            epoch = epoch[torch.randperm(len(epoch), generator=generator)]
        order += epoch.tolist()
    return order[:wanted]


def _data_set(tasks: Sequence[Task], recipe: GrpoRecipe, steps: int) -> Dataset:
    """Return one row per prompt of the whole training."""
    order = prompt_order([task.draws for task in tasks], recipe, steps)
    return Dataset.from_dict({"row": order}).with_transform(_Rows(tasks))


class _Rows:
    """Turns the numbers of tasks into the columns that TRL and the rewards read."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks
        self._images = [[open_image(data) for data in task.prompt.images] for task in tasks]

    def __call__(self, batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        numbers = batch["row"]
        tasks = [self._tasks[number] for number in numbers]
        return {
            "row": numbers,
            "prompt": [task.prompt.messages for task in tasks],
            "images": [self._images[number] for number in numbers],
            "gamma": [task.entropy for task in tasks],
            "beta": [task.kl for task in tasks],
        }

    def __getstate__(self) -> dict[str, Any]:
        # `datasets` hashes a transform by pickling it, for a cache on disk that is not used here.
        return {}


def _mean(records: list[dict[str, Any]], field: str) -> float | None:
    values = [record[field] for record in records if record[field] is not None]
    return round(sum(values) / len(values), 4) if values else None
