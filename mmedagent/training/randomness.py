"""The state of every random generator that training may draw from."""

import random
from typing import Any

import numpy as np
import torch


def random_states() -> dict[str, Any]:
    """Return the states of Python's, NumPy's and torch's generators, the current GPU's with them.

    Made of what `tensor_files.save_state` can keep.
    """
    numpy = dict(np.random.get_state(legacy=False))
    inner = numpy.pop("state")
    states = {
        "python": random.getstate(),
        "numpy": {**numpy, "key": inner["key"].tolist(), "pos": int(inner["pos"])},
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def set_random_states(states: dict[str, Any]) -> None:
    """Put every generator back to where `random_states` found it."""
    random.setstate(states["python"])
    numpy = dict(states["numpy"])
    key = np.array(numpy.pop("key"), dtype=np.uint32)
    np.random.set_state({**numpy, "state": {"key": key, "pos": numpy.pop("pos")}})
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
