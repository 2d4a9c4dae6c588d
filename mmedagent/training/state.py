"""A training loop's checkpoints: weights, optimiser, random generators and progress."""

import json
import re
from pathlib import Path
from typing import Any

import torch

from mmedagent.atomic import write_json
from mmedagent.training.checkpoint_folder import (
    last_checkpoint,
    new_checkpoint,
    read_checkpoint,
    remove_leftovers,
)
from mmedagent.training.randomness import random_states, set_random_states
from mmedagent.training.tensor_files import load_state, load_weights, save_state, save_weights

_PROGRESS = "progress.json"


class TrainingState:
    """The newest checkpoint of one loop, in a folder of its own in a work folder."""

    def __init__(self, work: Path, title: str, fingerprint: dict[str, Any]) -> None:
        """Name the loop `title`, and say by `fingerprint` what it is."""
        self._work = work / re.sub(r"[^A-Za-z0-9]+", "-", title).strip("-")
        self._fingerprint = fingerprint

    def save(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        step: int,
        facts: dict[str, Any],
    ) -> None:
        """Write the state after `step` steps, with JSON-able `facts`, whole or not at all."""
        with new_checkpoint(self._work, step, self._fingerprint) as aside:
            save_weights(aside, model)
            save_state(aside, "optimizer", optimizer.state_dict())
            save_state(aside, "random", random_states())
            write_json(aside / _PROGRESS, facts)

    def load(
        self, model: torch.nn.Module, optimizer: torch.optim.Optimizer
    ) -> dict[str, Any] | None:
        """Restore weights, optimiser and random generators; return the facts.

        None when there is no checkpoint. Raises `BrokenEvidenceError` when there is one that is
        damaged, or of another model, recipe or data: nothing starts over unasked.
        """
        remove_leftovers(self._work)
        folder = last_checkpoint(self._work)
        if folder is None:
            return None
        read_checkpoint(folder, self._fingerprint)
        load_weights(folder, model)
        optimizer.load_state_dict(load_state(folder, "optimizer"))
        set_random_states(load_state(folder, "random"))
        facts: dict[str, Any] = json.loads((folder / _PROGRESS).read_bytes())
        return facts
