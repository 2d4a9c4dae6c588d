"""GRPO with TRL: how its trainer is configured, fed, resumed and stopped."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PrinterCallback

from mmedagent.digests import digest_folder
from mmedagent.errors import BadDataError, UsageError
from mmedagent.interrupt import stop_requests
from mmedagent.models.load import load_model, load_processor
from mmedagent.models.processor import ImageOnlyProcessor
from mmedagent.models.save import save_model
from mmedagent.models.speed import speed_up
from mmedagent.recipes.training import GrpoRecipe
from mmedagent.training.adapters import adapter_files, freeze_vision, lora_config, merged
from mmedagent.training.checkpoints import AtomicCheckpoints, StopWithCheckpoint, last_checkpoint
from mmedagent.training.curves import FILE, Progress, curve, curve_bytes
from mmedagent.training.fingerprint import architecture, data_digest
from mmedagent.training.guards import StopWithoutVariance
from mmedagent.training.launch import Job, launch
from mmedagent.training.loss import DoctorTrainer
from mmedagent.training.machine import check_machine
from mmedagent.training.reward import Judge, reward_functions
from mmedagent.training.settings import grpo_config
from mmedagent.training.tasks import Task, data_set, prompt_order

__all__ = ["Job", "Task", "Trainer", "make_trainer", "prompt_order", "train", "train_here"]


class Trainer(AtomicCheckpoints, DoctorTrainer):
    """TRL's trainer with per-row coefficients and whole checkpoints."""

    @property
    def divided(self) -> bool:
        """Whether no process holds all weights (ZeRO-3)."""
        return bool(self.is_deepspeed_enabled and self.deepspeed.zero_optimization_stage() == 3)


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
    then listed in `work`) or when rewards have long had no variance, and `UsageError` when
    this machine cannot do what the recipe asks. Several processes are started here (`launch`) if
    the recipe wants them. Returns facts for the run's record.
    """
    if not tasks:
        raise BadDataError(f"{stage}: no cases to train on")
    if recipe.lora and reference not in (None, start):
        raise UsageError(
            f"{stage}: with lora the KL refers to the model without its adapters, {start}, and not"
            f" to {reference}"
        )
    check_machine(recipe, f"training.{'triage' if stage == 'triage' else 'attending'}")
    work.mkdir(parents=True, exist_ok=True)
    job = Job(tasks, judge, start, recipe, steps, stage, out, work, reference)
    return launch(job) if recipe.distributed else train_here(job)


def train_here(job: Job) -> dict[str, Any]:
    """Do `train`'s work in this process, which may be one of several that torchrun started."""
    began = time.perf_counter()
    processor = load_processor(job.start)
    with stop_requests() as request:
        trainer = make_trainer(job, processor)
        trainer.add_callback(StopWithCheckpoint(request))
        trainer.fingerprint = _fingerprint(job, trainer)
        checkpoint = last_checkpoint(job.work)
        trainer.train(resume_from_checkpoint=os.fspath(checkpoint) if checkpoint else None)
        if trainer.state.global_step < job.steps:
            raise request.stopped(str(job.work))
    records = curve(job.stage, trainer.state.log_history)
    # A tokenizer that has padded a batch is saved with its padding: after a kill between the last
    # step and here this one has not, and what is published must not tell.
    _publish(job, trainer, load_processor(job.start), {FILE: curve_bytes(records)})
    return {
        "stage": job.stage,
        "steps": job.steps,
        "tasks": len(job.tasks),
        "seconds": round(time.perf_counter() - began, 3),
        "reward_first": _mean(records[:10], "reward"),
        "reward_last": _mean(records[-10:], "reward"),
    }


def make_trainer(job: Job, processor: ImageOnlyProcessor) -> Trainer:
    """Return the trainer of `job`, its model loaded and set up as the recipe says."""
    recipe = job.recipe
    # Before the model: with ZeRO-3 each process loads its own part alone.
    args = grpo_config(recipe, job.steps, max(task.kl for task in job.tasks), job.work)
    model = speed_up(load_model(job.start, dtype=recipe.dtype)).train()
    if recipe.freeze_vision:
        freeze_vision(model)
    # Qwen2.5-VL keeps these in its text part alone; `Trainer` looks here, and would add the end
    # token to the generation config once more in each stage.
    model.config.eos_token_id = processor.tokenizer.eos_token_id
    model.config.pad_token_id = processor.tokenizer.pad_token_id
    # TRL loads the reference model from where the policy says it came from.
    model.config._name_or_path = os.fspath(job.reference or job.start)
    trainer = Trainer(
        model=model,
        args=args,
        reward_funcs=reward_functions([task.case for task in job.tasks], job.judge),
        train_dataset=data_set(job.tasks, recipe, job.steps),
        processing_class=processor,
        peft_config=lora_config(recipe.lora) if recipe.lora else None,
        callbacks=[
            Progress(job.stage, job.work / FILE),
            StopWithoutVariance(job.stage, recipe.patience_without_variance),
        ],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.drop_groups_without_variance = recipe.drop_groups_without_variance
    trainer.case_ids = [task.case.case_id for task in job.tasks]
    trainer.stage = job.stage
    if trainer.ref_model is not None:
        speed_up(trainer.accelerator.unwrap_model(trainer.ref_model))
    return trainer


def _fingerprint(job: Job, trainer: Trainer) -> dict[str, Any]:
    """Return what this training is, so that a checkpoint of another one is refused."""
    reference = job.reference or job.start
    start = digest_folder(job.start)  # minutes for billions of weights: not twice
    return {
        "stage": job.stage,
        "steps": job.steps,
        "processes": trainer.args.world_size,
        "architecture": architecture(trainer.model),
        "start": start,
        "reference": start if reference == job.start else digest_folder(reference),
        "recipe": job.recipe.model_dump(mode="json", exclude={"checkpoint_every"}),
        "tasks": data_digest(job.tasks),
        "order": data_digest(trainer.train_dataset.with_format(None)["row"]),
    }


def _publish(
    job: Job, trainer: Trainer, processor: ImageOnlyProcessor, extras: dict[str, bytes]
) -> None:
    """Publish plain weights in `job.out`: gathered if they are divided, adapters merged."""
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped) if trainer.divided else None
    if trainer.is_world_process_zero():
        model = trainer.accelerator.unwrap_model(trainer.model)
        extras |= adapter_files(model)
        save_model(job.out, merged(model), processor, extras, weights)
    trainer.accelerator.wait_for_everyone()


def _mean(records: list[dict[str, Any]], field: str) -> float | None:
    values = [record[field] for record in records if record[field] is not None]
    return round(sum(values) / len(values), 4) if values else None
