"""Checkpoints of a `Trainer`: published whole, found again, written when asked to stop."""

import os
import shutil
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from mmedagent.atomic import new_folder
from mmedagent.models.load import load_model
from mmedagent.training.interrupt import StopRequest

_PREFIX = "checkpoint-"


def last_checkpoint(work: Path) -> Path | None:
    """Return the newest whole checkpoint in `work`, or None.

    A folder gets its final name only when everything in it is on disk, so a name is enough.
    """
    steps = [
        int(path.name.removeprefix(_PREFIX))
        for path in work.glob(f"{_PREFIX}*")
        if path.name.removeprefix(_PREFIX).isdigit()
    ]
    return work / f"{_PREFIX}{max(steps)}" if steps else None


class AtomicCheckpoints(Trainer):
    """A `Trainer` whose checkpoints appear whole or not at all; only the newest is kept.

    What is in one: weights (safetensors), and the optimiser's, scheduler's and random states in
    torch's format, which the `Trainer` reads back with `weights_only`, so no pickle is executed.
    """

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        work = Path(self.args.output_dir)
        name = f"{_PREFIX}{self.state.global_step}"
        with new_folder(work / name) as aside:
            self._staging = aside
            try:
                super()._save_checkpoint(model, trial)
            finally:
                del self._staging
            whole = aside / name
            for entry in whole.iterdir():
                entry.rename(aside / entry.name)
            whole.rmdir()
        for old in work.glob(f"{_PREFIX}*"):
            if old.name != name:
                shutil.rmtree(old, ignore_errors=True)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Read weights back by the model's own loader.

        `Trainer`'s matches names as they are in the file, which for Qwen2.5-VL are the hub's and
        not the module's: it warns about every key and goes on with the weights it began with.
        """
        target = self.model if model is None else model
        saved = load_model(Path(resume_from_checkpoint), dtype=str(target.dtype).split(".")[-1])
        target.load_state_dict(saved.state_dict())

    def _get_output_dir(self, trial: Any) -> str:
        staging: Path | None = getattr(self, "_staging", None)
        return os.fspath(staging or self.args.output_dir)


class StopWithCheckpoint(TrainerCallback):
    """Ends training after the current step, with a checkpoint, once that was asked for."""

    def __init__(self, request: StopRequest) -> None:
        self._request = request

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Turn the request into the trainer's own."""
        if self._request.asked:
            control.should_save = True
            control.should_training_stop = True
