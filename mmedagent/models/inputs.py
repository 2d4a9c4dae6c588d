"""From prompts to what a model's forward takes: one path for training, evaluation and serving."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import BatchFeature

from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import Messages
from mmedagent.errors import BadDataError
from mmedagent.models.images import open_image
from mmedagent.models.processor import ImageOnlyProcessor


def encode(processor: ImageOnlyProcessor, prompts: Sequence[Prompt]) -> BatchFeature:
    """Tokenise prompts and prepare their images, padded on the left.

    Returns tensors: `input_ids`, `attention_mask`, `mm_token_type_ids`, int64 [prompts, tokens],
    `pixel_values`, float32 [patches of all images, values], `image_grid_thw`, int64 [images, 3].
    Raises `BadDataError` for an image that cannot be read.
    """
    return processor.apply_chat_template(
        [with_images(prompt) for prompt in prompts],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True, "padding_side": "left"},
    )


def with_images(prompt: Prompt) -> Messages:
    """Return the prompt's messages with each image placeholder holding its decoded image."""
    images = iter(prompt.images)
    try:
        messages = [
            {**message, "content": [_part(part, images) for part in message["content"]]}
            for message in prompt.messages
        ]
    except StopIteration:
        raise BadDataError("a prompt has more image placeholders than images") from None
    if next(images, None) is not None:
        raise BadDataError("a prompt has more images than image placeholders")
    return messages


def _part(part: dict[str, Any], images: Any) -> dict[str, Any]:
    return {"type": "image", "image": open_image(next(images))} if part["type"] == "image" else part


def with_completions(
    inputs: BatchFeature, completions: Sequence[Sequence[int]], pad_token_id: int
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Append token ids to encoded prompts, padded on the right.

    Returns the model's inputs and the completions' mask, int64 [prompts, longest completion].
    """
    longest = max(len(tokens) for tokens in completions)
    rows = [[*tokens, *[pad_token_id] * (longest - len(tokens))] for tokens in completions]
    masks = [[1] * len(tokens) + [0] * (longest - len(tokens)) for tokens in completions]
    ids, mask = torch.tensor(rows), torch.tensor(masks)
    joined = dict(inputs)
    joined["input_ids"] = torch.cat([inputs["input_ids"], ids], dim=1)
    joined["attention_mask"] = torch.cat([inputs["attention_mask"], mask], dim=1)
    joined["mm_token_type_ids"] = torch.cat(
        [inputs["mm_token_type_ids"], torch.zeros_like(ids)], dim=1
    )
    return joined, mask
