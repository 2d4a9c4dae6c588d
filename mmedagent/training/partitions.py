"""What ZeRO divides among processes, kept in a checkpoint without pickle.

DeepSpeed's own checkpoints are pickles. Here each process writes its partition as safetensors and
JSON: its share of the float32 weights and of the optimiser's state, as `state_dict` of DeepSpeed's
optimiser names them. They are read back by as many processes as wrote them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from mmedagent.training.tensor_files import load_state, save_state

_WEIGHTS = {2: "single_partition_of_fp32_groups", 3: "fp32_flat_groups"}
_OPTIMISER = {2: "base_optimizer_state", 3: "optimizer_state_dict"}
"""Stage -> DeepSpeed 0.19's names in the optimiser's state."""


def save_partition(engine: Any, folder: Path) -> None:
    """Write this process's partition of `engine`, a DeepSpeed engine, into `folder`."""
    stage = engine.zero_optimization_stage()
    with _gathered_aside(engine):
        state = engine.optimizer.state_dict()
        kept = {"weights": list(state[_WEIGHTS[stage]]), "optimizer": state[_OPTIMISER[stage]]}
        save_state(folder, _name(), kept)


def load_partition(engine: Any, folder: Path) -> None:
    """Read this process's partition back: weights in both precisions, and the optimiser's state."""
    stage = engine.zero_optimization_stage()
    kept = load_state(folder, _name())
    optimizer = engine.optimizer
    with _gathered_aside(engine):
        own = optimizer.state_dict() | {
            _WEIGHTS[stage]: kept["weights"],
            _OPTIMISER[stage]: kept["optimizer"],
        }
        # DeepSpeed looks at this process's entry alone.
        states: list[Any] = [None] * torch.distributed.get_world_size()
        states[torch.distributed.get_rank()] = own
        optimizer.load_state_dict(states, load_optimizer_states=True, load_from_fp32_weights=True)
        if stage == 2:
            optimizer.update_lp_params()  # stage 3 does it by itself


@contextmanager
def _gathered_aside(engine: Any) -> Iterator[None]:
    """In stage 3, put small weights that every process holds whole back into parts meanwhile."""
    if engine.zero_optimization_stage() != 3:
        yield
        return
    engine.optimizer.checkpoint_event_prologue()
    yield
    engine.optimizer.checkpoint_event_epilogue()


def _name() -> str:
    return f"partition-{torch.distributed.get_rank()}"
