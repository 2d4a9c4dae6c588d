"""One pass over each prompt instead of one for each of its rollouts.

The rollouts of a group share their prompt and image. Packed behind one copy of the prompt, where
an attention mask keeps them from seeing each other, they get the logits that separate rows give,
for a quarter of the tokens. The tests hold logits and gradients to those of separate rows.
"""

from dataclasses import dataclass
from typing import Any

import torch

from mmedagent.models.speed import distinct_rows


@dataclass(frozen=True)
class _Groups:
    """Which rows belong together: `group` and `slot` are int64 [rows]."""

    firsts: torch.Tensor
    """One row of each group, int64 [groups]."""
    group: torch.Tensor
    slot: torch.Tensor

    @property
    def slots(self) -> int:
        return int(self.slot.max()) + 1


def can_pack(num_images: list[int] | None, image_grid_thw: torch.Tensor | None) -> bool:
    """Say whether rows can be packed: each with one image, all of one size."""
    if num_images is None or image_grid_thw is None or set(num_images) != {1}:
        return False
    return bool((image_grid_thw == image_grid_thw[0]).all())


def packed_logits(
    model: torch.nn.Module,
    rope_index: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    length: int,
    pixel_values: torch.Tensor,
    image_grid_thw: torch.Tensor,
    mm_token_type_ids: torch.Tensor,
) -> torch.Tensor:
    """Return the logits of each row's last `length` tokens: float [rows, length, vocabulary].

    Args:
        model: the policy, wrapped or not.
        rope_index: the inner model, whose `get_rope_index` gives rotary positions.
        input_ids, attention_mask, mm_token_type_ids: [rows, tokens], prompts padded on the left,
            completions of `length` tokens padded on the right.
        pixel_values, image_grid_thw: one image a row, all of one size.
    """
    prompt = input_ids.shape[1] - length
    patches = pixel_values.reshape(len(input_ids), -1, pixel_values.shape[1])
    groups = _group(input_ids[:, :prompt], patches.flatten(1))
    firsts, slots = groups.firsts, groups.slots
    prompt_mask = attention_mask[firsts, :prompt]
    ids = input_ids.new_zeros(len(firsts), prompt + slots * length)
    alive = torch.zeros_like(ids)
    ids[:, :prompt], alive[:, :prompt] = input_ids[firsts, :prompt], prompt_mask
    for row_values, packed in ((input_ids, ids), (attention_mask, alive)):
        completions = packed[:, prompt:].view(len(firsts), slots, length)
        completions[groups.group, groups.slot] = row_values[:, prompt:].to(packed.dtype)
    positions, _ = rope_index.get_rope_index(
        input_ids=input_ids[firsts, :prompt],
        mm_token_type_ids=mm_token_type_ids[firsts, :prompt],
        image_grid_thw=image_grid_thw[firsts],
        attention_mask=prompt_mask,
    )
    after = positions.amax(dim=(0, 2)) + 1
    steps = torch.arange(length, device=ids.device).repeat(slots)
    tail = (after[:, None] + steps).expand(3, -1, -1)
    logits = model(
        input_ids=ids,
        attention_mask={"full_attention": _attention(alive.bool(), prompt, slots, length)},
        position_ids=torch.cat([positions, tail], dim=2),
        pixel_values=patches[firsts].flatten(0, 1),
        image_grid_thw=image_grid_thw[firsts],
        logits_to_keep=1 + slots * length,
        use_cache=False,
    ).logits
    # The prompt's last token (place 0) predicts each completion's first; place 1 + slot * length
    # + t holds a completion's token t, which predicts its token t + 1.
    inside = 1 + groups.slot[:, None] * length + torch.arange(length - 1, device=ids.device)
    places = torch.cat([torch.zeros_like(groups.slot)[:, None], inside], dim=1)
    picked: torch.Tensor = logits[groups.group[:, None], places]
    return picked


def _group(prompts: torch.Tensor, images: torch.Tensor) -> _Groups:
    """Find the rows whose prompt and image are equal, in order of their first appearance."""
    _, which_prompt = torch.unique(prompts, dim=0, return_inverse=True)
    _, which_image = distinct_rows(images)
    numbers: dict[tuple[int, int], int] = {}
    firsts: list[int] = []
    sizes: list[int] = []
    group, slot = [], []
    for row, key in enumerate(zip(which_prompt.tolist(), which_image.tolist(), strict=True)):
        number = numbers.setdefault(key, len(firsts))
        if number == len(firsts):
            firsts.append(row)
            sizes.append(0)
        group.append(number)
        slot.append(sizes[number])
        sizes[number] += 1
    device = prompts.device
    return _Groups(*(torch.tensor(values, device=device) for values in (firsts, group, slot)))


def _attention(alive: torch.Tensor, prompt: int, slots: int, length: int) -> torch.Tensor:
    """Return who may attend to whom: bool [groups, 1, tokens, tokens].

    A token sees itself, and the earlier tokens of the prompt and of its own completion that are
    no padding.
    """
    owner = torch.cat([torch.full((prompt,), -1), torch.arange(slots).repeat_interleave(length)])
    owner = owner.to(alive.device)
    tokens = torch.arange(len(owner), device=alive.device)
    earlier = tokens[None, :] <= tokens[:, None]
    related = (owner[None, :] == -1) | (owner[None, :] == owner[:, None])
    allowed = (earlier & related)[None] & alive[:, None, :]
    return (allowed | torch.eye(len(owner), dtype=torch.bool, device=alive.device))[:, None]
