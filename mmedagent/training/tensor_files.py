"""Nested states (of optimisers, schedulers, random generators) as safetensors and JSON: no pickle.

`<name>.safetensors` holds the tensors, `<name>.json` the rest, with a tensor's key in its place.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from mmedagent.atomic import write_json
from mmedagent.errors import BrokenEvidenceError

WEIGHTS = "weights.safetensors"


def save_weights(folder: Path, model: torch.nn.Module) -> None:
    """Write what training changes of `model` into `folder`: frozen parameters are left out."""
    save_file(_trained(model), folder / WEIGHTS)


def load_weights(folder: Path, model: torch.nn.Module) -> None:
    """Put back what `save_weights` wrote, in place.

    Raises:
        BrokenEvidenceError: the file has other tensors than `model` trains.
    """
    saved, trained = load_file(folder / WEIGHTS), _trained(model)
    if saved.keys() != trained.keys():
        other = sorted(saved.keys() ^ trained.keys())
        raise BrokenEvidenceError(
            f"{folder / WEIGHTS}: not what this model trains: {len(other)} tensors are only there"
            f" or only here, such as {other[0]}"
        )
    for name, value in trained.items():
        value.copy_(saved[name])


def _trained(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return what training changes: parameters that are not frozen, and kept buffers."""
    kept = model.state_dict(keep_vars=True)
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    buffers = {name: b for name, b in model.named_buffers() if name in kept}
    return {name: value.detach() for name, value in (parameters | buffers).items()}


def save_state(folder: Path, name: str, state: Any) -> None:
    """Write `state`, made of dicts, lists, tuples, tensors and JSON's scalars, into `folder`.

    Raises:
        TypeError: something else is in it, named by its path.
        ValueError: a number in it is infinite or NaN.
    """
    tensors: dict[str, torch.Tensor] = {}
    rest = _split(state, name, tensors)
    save_file(tensors, folder / f"{name}.safetensors")
    write_json(folder / f"{name}.json", rest)


def load_state(folder: Path, name: str) -> Any:
    """Return what `save_state` wrote: equal values, of the same types, tensors on the CPU."""
    rest = json.loads((folder / f"{name}.json").read_bytes())
    return _join(rest, load_file(folder / f"{name}.safetensors"))


def _split(value: Any, path: str, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        tensors[path] = value.detach().cpu().contiguous()
        return {"tensor": path}
    if isinstance(value, dict):
        pairs = [[key, _split(item, f"{path}.{key}", tensors)] for key, item in value.items()]
        if not all(isinstance(key, str | int) for key in value):
            raise TypeError(f"{path}: keys other than texts and whole numbers cannot be kept")
        return {"dict": pairs}  # pairs, because JSON would turn whole numbers into texts
    if isinstance(value, list | tuple):
        items = [_split(item, f"{path}.{n}", tensors) for n, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{path}: a {type(value).__name__} cannot be kept without pickle")


def _join(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_join(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "tuple":
        return tuple(_join(item, tensors) for item in content)
    return {key: _join(item, tensors) for key, item in content}
