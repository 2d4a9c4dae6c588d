"""What a training is: what must be equal for a checkpoint to be gone on from."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from pydantic import BaseModel

from mmedagent.digests import canonical_json, digest_bytes, digest_value


def architecture(model: torch.nn.Module) -> dict[str, Any]:
    """Return a model's class, its number of parameters, and digests of their names and shapes.

    What is trained and what is frozen counts; values do not.
    """
    described = {
        # DeepSpeed's ZeRO-3 leaves an empty tensor where a parameter was, and its shape beside it.
        name: [list(getattr(value, "ds_shape", value.shape)), str(value.dtype), value.requires_grad]
        for name, value in model.named_parameters()
    }
    return {
        "class": type(model).__name__,
        "parameters": len(described),
        "shapes": digest_value(described),
    }


def weights_digest(model: torch.nn.Module) -> str:
    """Return one sha256 over the names and bytes of all parameters."""
    total = hashlib.sha256()
    for name, value in model.named_parameters():
        total.update(name.encode())
        flat = value.detach().cpu().contiguous().view(-1).view(torch.uint8)
        total.update(flat.numpy().data)
    return total.hexdigest()


def data_digest(items: Iterable[Any]) -> str:
    """Return one sha256 over examples or tasks in their order, images by their digest.

    Items are made of dataclasses, pydantic models, mappings, sequences, bytes and JSON's scalars.
    """
    total = hashlib.sha256()
    for item in items:
        total.update(canonical_json(_plain(item)))
    return total.hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return digest_bytes(value)
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
