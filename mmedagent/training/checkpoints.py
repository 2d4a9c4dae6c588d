"""Checkpoints of a `Trainer`: safetensors and JSON, published whole, verified, found again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from mmedagent.errors import MMedAgentError
from mmedagent.interrupt import StopRequest
from mmedagent.training.checkpoint_folder import (
    last_checkpoint,
    new_checkpoint,
    read_checkpoint,
    remove_leftovers,
)
from mmedagent.training.partitions import load_partition, save_partition
from mmedagent.training.randomness import random_states, set_random_states
from mmedagent.training.tensor_files import load_state, load_weights, save_state, save_weights

__all__ = ["AtomicCheckpoints", "StopWithCheckpoint", "last_checkpoint"]


class AtomicCheckpoints(Trainer):
    """A `GRPOTrainer` whose checkpoints appear whole or not at all; only the newest is kept.

    What is in one: the trained weights (frozen ones come from the start again), the states of
    optimiser, scheduler, gradient scaler and random generators, `trainer_state.json` with the
    curve, and the manifest, all without pickle. Where DeepSpeed has divided weights and optimiser
    among the processes, each writes its own part (`mmedagent.training.partitions`).

    Put it before the trainer class among the bases, and set `fingerprint` before `train`.
    """

    fingerprint: dict[str, Any]
    """What this training is: a checkpoint of another one is refused."""
    stage: str = ""
    _staging: Path | None = None

    @property
    def partitioned(self) -> bool:
        """Whether the optimiser's state is divided among the processes (ZeRO)."""
        return bool(self.is_deepspeed_enabled)

    def train(self, resume_from_checkpoint: Any = None, *rest: Any, **options: Any) -> Any:
        """Train, from the checkpoint folder `resume_from_checkpoint` if one is given.

        Raises `BrokenEvidenceError` when that is damaged or of another training.
        """
        if self.is_world_process_zero():
            remove_leftovers(Path(self.args.output_dir))
        if resume_from_checkpoint and self.is_world_process_zero():  # one reads for all
            read_checkpoint(Path(resume_from_checkpoint), self.fingerprint)
        self.accelerator.wait_for_everyone()
        return super().train(resume_from_checkpoint, *rest, **options)

    # Writing.

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if self._waiting_rollouts():
            raise MMedAgentError(
                f"step {self.state.global_step}: rollouts wait to be trained on, which a checkpoint"
                " cannot hold; `StopWithCheckpoint` must be among the callbacks"
            )
        with self._one_folder() as aside:
            self._staging = aside
            try:
                super()._save_checkpoint(model, trial)
            finally:
                self._staging = None
            self.accelerator.wait_for_everyone()
            if self.is_world_process_zero():
                whole = aside / f"checkpoint-{self.state.global_step}"
                for entry in whole.iterdir():
                    entry.rename(aside / entry.name)
                whole.rmdir()
        self.accelerator.wait_for_everyone()

    def _waiting_rollouts(self) -> bool:
        micro_batches = getattr(self, "_step", 0)  # that TRL has taken from its buffer
        done = self.state.global_step >= self.state.max_steps
        return not done and micro_batches % _period(self.args) != 0

    @contextmanager
    def _one_folder(self) -> Iterator[Path]:
        """Yield the folder aside that all processes write into; the first one publishes it."""
        if not self.is_world_process_zero():
            yield Path(broadcast_object_list([None])[0])
            return
        step = self.state.global_step
        batches = step * self.args.gradient_accumulation_steps
        facts = {"stage": self.stage, "sampler": {"batches": batches}}
        with new_checkpoint(Path(self.args.output_dir), step, self.fingerprint, **facts) as aside:
            broadcast_object_list([os.fspath(aside)])
            yield aside

    def _get_output_dir(self, trial: Any) -> str:
        return os.fspath(self._staging or self.args.output_dir)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Write nothing: TRL would put a page beside each checkpoint."""

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the trained weights; those that are divided are written with the optimiser's state.

        `Trainer`'s would gather them in one process, with a pickle of its arguments beside.
        """
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        if self.args.should_save and not self.partitioned:
            save_weights(folder, self._module)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        folder = Path(output_dir)
        if self.partitioned:
            save_partition(self.deepspeed, folder)
        elif self.args.should_save:
            save_state(folder, "optimizer", self.optimizer.state_dict())
        if self.args.should_save:
            save_state(folder, "scheduler", self.lr_scheduler.state_dict())

    def _save_scaler(self, output_dir: str) -> None:
        scaler = getattr(self.accelerator, "scaler", None)
        if scaler is not None and self.args.should_save:
            save_state(Path(output_dir), "scaler", scaler.state_dict())

    def _save_rng_state(self, output_dir: str) -> None:
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        save_state(Path(output_dir), f"random-{self.args.process_index}", random_states())

    # Reading.

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Read the trained weights back under the module's own names.

        `Trainer` matches names as `save_pretrained` writes them, which for Qwen2.5-VL are the
        hub's and not the module's: it warns about every key and goes on with the weights it began
        with.
        """
        load_weights(Path(resume_from_checkpoint), self._module)

    def _prepare_for_training(
        self, max_steps: int, train_dataloader: Any, resume_from_checkpoint: str | None
    ) -> Any:
        if not self.partitioned:
            return super()._prepare_for_training(
                max_steps, train_dataloader, resume_from_checkpoint
            )
        # Told of a checkpoint, this would look for DeepSpeed's own, which is a pickle.
        prepared = super()._prepare_for_training(max_steps, train_dataloader, None)
        self._load_optimizer_and_scheduler(resume_from_checkpoint)
        return prepared

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        if self.partitioned:
            load_partition(self.deepspeed, Path(checkpoint))
        else:
            self.optimizer.load_state_dict(load_state(Path(checkpoint), "optimizer"))
        self.lr_scheduler.load_state_dict(load_state(Path(checkpoint), "scheduler"))

    def _load_scaler(self, checkpoint: str | None) -> None:
        scaler = getattr(self.accelerator, "scaler", None)
        if scaler is not None and checkpoint is not None:
            scaler.load_state_dict(load_state(Path(checkpoint), "scaler"))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            name = f"random-{self.args.process_index}"
            set_random_states(load_state(Path(checkpoint), name))

    @property
    def _module(self) -> torch.nn.Module:
        module: torch.nn.Module = self.accelerator.unwrap_model(self.model)
        return module


def at_rollout_boundary(args: TrainingArguments, state: TrainerState) -> bool:
    """Whether all rollouts so far have been trained on, or none will be any more.

    Rollouts are made for `steps_per_generation * num_iterations` micro-batches at once. Between
    those, the buffer of rollouts is part of the training's state, and no checkpoint holds it.
    """
    batches = state.global_step * args.gradient_accumulation_steps
    return bool(batches % _period(args) == 0 or state.global_step >= state.max_steps)


def _period(args: TrainingArguments) -> int:
    """Micro-batches that TRL makes rollouts for at once."""
    return int(getattr(args, "steps_per_generation", 1) * getattr(args, "num_iterations", 1))


class StopWithCheckpoint(TrainerCallback):
    """Lets checkpoints be written at rollout boundaries only, and ends training when asked to.

    What falls due in between, a checkpoint or the end, waits for the next boundary.
    """

    def __init__(self, request: StopRequest) -> None:
        self._request = request
        self._due = False

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Turn the request into the trainer's own, and put off a save that comes too early."""
        asked = _anywhere(self._request.asked)
        self._due |= control.should_save or asked
        control.should_save = self._due and at_rollout_boundary(args, state)
        if control.should_save:
            self._due = False
            control.should_training_stop |= asked


def _anywhere(asked: bool) -> bool:
    """Whether any process was asked: all must end after the same step, or the others hang."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return asked
    votes: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(votes, asked)
    return any(votes)
