"""A training loop's checkpoint: weights and optimiser state as safetensors, no pickle."""

import json
import logging
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from mmedagent.atomic import write_bytes

_log = logging.getLogger(__name__)
_FILE = "checkpoint.safetensors"


class TrainingState:
    """The last checkpoint of one loop, in one file of a work folder, replaced atomically.

    `fingerprint` says what the loop is (examples, recipe, seed): a checkpoint of another one is
    left alone and not read.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._path = folder / f"{fingerprint[:16]}-{_FILE}"

    def save(
        self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, facts: dict[str, Any]
    ) -> None:
        """Write weights, optimiser state and JSON-able `facts`, whole or not at all."""
        tensors = {f"model.{name}": value.detach() for name, value in model.named_parameters()}
        for index, entry in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in entry.items()}
        data = save(
            {name: value.contiguous().cpu() for name, value in tensors.items()},
            metadata={"facts": json.dumps(facts)},
        )
        write_bytes(self._path, data)

    def load(
        self, model: torch.nn.Module, optimizer: torch.optim.Optimizer
    ) -> dict[str, Any] | None:
        """Restore weights and optimiser; return the facts, or None when there is nothing whole."""
        if not self._path.exists():
            return None
        try:
            with safe_open(self._path, framework="pt") as file:
                facts: dict[str, Any] = json.loads(file.metadata()["facts"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("starting over: checkpoint %s is broken (%s)", self._path, error)
            return None
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(tensors[f"model.{name}"])
        restored: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            if part == "optimizer":
                index, _, entry = rest.partition(".")
                restored.setdefault(int(index), {})[entry] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": restored})
        return facts
