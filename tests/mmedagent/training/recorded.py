"""Training on a recorded batch of rollouts, in one process or under torchrun.

As a script it is a rank: `torchrun recorded.py FOLDER`, where FOLDER is the job's, with the record
beside it. What TRL makes of rollouts comes from the record; all the rest is the real code.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import TrainerCallback
from trl import GRPOTrainer

from mmedagent.training import grpo
from mmedagent.training.tensor_files import load_state


def patches(record: Path, gradients: Path):
    """Return what to replace for a training on `record` that keeps its first gradients."""
    return [
        (GRPOTrainer, "_generate_and_score_completions", lambda self, _: _own_rows(self, record)),
        (grpo, "grpo_config", _plain_descent(grpo.grpo_config)),
        (grpo, "make_trainer", _watched(grpo.make_trainer, gradients)),
    ]


def _own_rows(trainer, record):
    """The record's rows that belong to this process, as TRL would have cut them."""
    whole = load_state(record, "rollouts")
    rank, world = trainer.accelerator.process_index, trainer.accelerator.num_processes
    count = len(whole["advantages"]) // world
    rows = slice(rank * count, (rank + 1) * count)
    patches_each = len(whole["pixel_values"]) // len(whole["num_images"])
    own = {name: value[rows] for name, value in whole.items() if name != "pixel_values"}
    own["pixel_values"] = whole["pixel_values"][
        rows.start * patches_each : rows.stop * patches_each
    ]
    return own


def _plain_descent(original):
    def config(*arguments):
        args = original(*arguments)
        args.optim = "sgd"
        return args

    return config


def _watched(original, gradients):
    def make(*arguments):
        trainer = original(*arguments)
        if trainer.is_deepspeed_enabled:
            _before_zero_steps(gradients)
        else:
            trainer.add_callback(_BeforeStep(gradients))
        return trainer

    return make


class _BeforeStep(TrainerCallback):
    def __init__(self, path):
        self._path = path

    def on_pre_optimizer_step(self, args, state, control, model=None, **_):
        _keep({name: p.grad for name, p in model.named_parameters()}, self._path)


def _before_zero_steps(path):
    from deepspeed.runtime.engine import DeepSpeedEngine
    from deepspeed.utils import safe_get_full_grad

    step = DeepSpeedEngine.step

    def look_first(engine, *arguments, **options):
        if engine.is_gradient_accumulation_boundary():
            named = engine.module.named_parameters()
            _keep({name: safe_get_full_grad(p) for name, p in named}, path)
        return step(engine, *arguments, **options)

    DeepSpeedEngine.step = look_first


def _keep(gradients, path):
    distributed = torch.distributed.is_initialized()
    if not path.exists() and (not distributed or torch.distributed.get_rank() == 0):
        names = {name.removeprefix("module."): g for name, g in gradients.items()}
        save_file({name: g.detach().clone() for name, g in names.items()}, path)


if __name__ == "__main__":
    from mmedagent.training import rank

    folder = Path(sys.argv[1])
    for owner, name, new in patches(folder.parent / "record", folder.parent / "gradients.st"):
        setattr(owner, name, new)
    sys.exit(rank.main())
