"""The image-only processor: Qwen2.5-VL's, without the video part and with or without torchvision.

`AutoProcessor` also builds a video processor, which needs torchvision; on a CPU machine there is
none, and its import breaks transformers' Qwen2.5-VL processor.
"""

import json
from collections.abc import Sequence
from typing import Any

import torch
from transformers import BatchFeature, PreTrainedTokenizerBase, Qwen2_5_VLProcessor
from transformers.image_utils import make_flat_list_of_images
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from mmedagent.models.images import ImageCache, Prepared, pixels_key

_PLAIN = frozenset(
    ("add_generation_prompt", "tokenize", "return_dict", "return_tensors", "processor_kwargs")
)
"""What callers usually ask of a chat template; anything else takes transformers' own path."""
_MOST_RENDERED = 4096


class ImageOnlyProcessor(Qwen2_5_VLProcessor):
    """`Qwen2_5_VLProcessor` that takes PIL images and text, and refuses videos.

    Three differences: images are prepared with PIL on every machine, so that a model sees the
    same pixels where it is trained and where it is served; a prepared image is kept, since
    training shows each one many times; and a special token that somebody wrote into a message is
    broken up, so that text can never pose as an image or as the end of a turn.
    """

    @classmethod
    def get_attributes(cls) -> list[str]:
        """Name the parts that are saved and loaded: no video processor."""
        return ["image_processor", "tokenizer"]

    def __init__(
        self,
        image_processor: Qwen2VLImageProcessorPil,
        tokenizer: PreTrainedTokenizerBase,
        chat_template: str | None = None,
        **_: Any,
    ) -> None:
        super().__init__(
            image_processor=image_processor,
            tokenizer=tokenizer,
            chat_template=chat_template or tokenizer.chat_template,
        )
        self._cache = ImageCache()
        self._rendered: dict[str, str] = {}
        added = tokenizer.added_tokens_decoder.values()
        self._specials = [str(token) for token in added if str(token).startswith("<|")]

    def __call__(
        self, images: Any = None, text: Any = None, videos: Any = None, **kwargs: Any
    ) -> Any:
        """Prepare text and images as `Qwen2_5_VLProcessor` does; raises ValueError for videos."""
        if videos is not None:
            raise ValueError("this processor takes images and text; videos are not supported")
        return super().__call__(images=images, text=text, **kwargs)

    def apply_chat_template(self, conversation: Any, *args: Any, **kwargs: Any) -> Any:
        """Render as `Qwen2_5_VLProcessor` does, special tokens inside messages broken up."""
        batched = bool(conversation) and isinstance(conversation[0], list | tuple)
        conversations = conversation if batched else [conversation]
        if not args and not {name for name, value in kwargs.items() if value} - _PLAIN:
            return self._apply_plain(conversations, batched, **kwargs)
        safe = [[self._safe(message) for message in messages] for messages in conversations]
        return super().apply_chat_template(safe if batched else safe[0], *args, **kwargs)

    def _apply_plain(
        self,
        conversations: Sequence[Sequence[dict[str, Any]]],
        batched: bool,
        add_generation_prompt: bool = False,
        tokenize: bool = False,
        return_dict: bool = False,
        return_tensors: str | None = None,
        processor_kwargs: dict[str, Any] | None = None,
        **_: Any,
    ) -> Any:
        """Do the usual case, with each distinct conversation rendered once.

        A rollout's prompt comes eight times a step, twice a pass: rendering it anew each time
        took a tenth of a training step.
        """
        texts = [self._render(messages, add_generation_prompt) for messages in conversations]
        if not tokenize:
            return texts if batched else texts[0]
        images = [
            part["image"]
            for messages in conversations
            for message in messages
            for part in message["content"]
            if isinstance(part, dict) and part["type"] == "image"
        ]
        options = dict(processor_kwargs or {})
        if return_tensors:
            options["return_tensors"] = return_tensors
        inputs = self(text=texts, images=images or None, **options)
        return inputs if return_dict else inputs["input_ids"]

    def _render(self, messages: Sequence[dict[str, Any]], add_generation_prompt: bool) -> str:
        key = json.dumps([_without_images(messages), add_generation_prompt])
        text = self._rendered.get(key)
        if text is None:
            safe = [self._safe(message) for message in messages]
            text = super().apply_chat_template(safe, add_generation_prompt=add_generation_prompt)
            if len(self._rendered) >= _MOST_RENDERED:
                self._rendered.clear()
            self._rendered[key] = text
        return text

    def create_mm_token_type_ids(self, input_ids: Sequence[Sequence[int]]) -> list[list[int]]:
        """Mark image tokens with 1 and text with 0, for each row of token ids."""
        image = self.image_token_id
        return [[int(token == image) for token in row] for row in input_ids]

    def _safe(self, message: dict[str, Any]) -> dict[str, Any]:
        content = message["content"]
        if isinstance(content, str):
            return {**message, "content": self._break_up(content)}
        parts = [
            {**part, "text": self._break_up(part["text"])} if part["type"] == "text" else part
            for part in content
        ]
        return {**message, "content": parts}

    def _break_up(self, text: str) -> str:
        if "<|" in text:
            for token in self._specials:
                text = text.replace(token, token.replace("<|", "<| "))
        return text

    def _process_images(self, images: Any, **kwargs: Any) -> tuple[BatchFeature, list[str]]:
        kwargs["return_tensors"] = "pt"
        flat = make_flat_list_of_images(images)
        prepared = [self._prepare(image, kwargs) for image in flat]
        inputs = BatchFeature(
            {
                "pixel_values": torch.cat([patches for patches, _ in prepared]),
                "image_grid_thw": torch.stack([grid for _, grid in prepared]),
            }
        )
        counts = [int(grid.prod()) // self.image_processor.merge_size**2 for _, grid in prepared]
        return inputs, [self.image_token * count for count in counts]

    def _prepare(self, image: Any, kwargs: dict[str, Any]) -> Prepared:
        key = pixels_key(image)
        prepared = self._cache.get(key)
        if prepared is None:
            made = self.image_processor(image, **kwargs)
            prepared = (made["pixel_values"], made["image_grid_thw"][0])
            self._cache.put(key, prepared)
        return prepared


def _without_images(messages: Sequence[dict[str, Any]]) -> list[Any]:
    return [
        [
            message["role"],
            message["content"]
            if isinstance(message["content"], str)
            else [[part["type"], part.get("text")] for part in message["content"]],
        ]
        for message in messages
    ]


def image_processor(image_size: int, patch_size: int) -> Qwen2VLImageProcessorPil:
    """Return an image processor that brings any image to about `image_size` ** 2 pixels."""
    area = image_size * image_size
    return Qwen2VLImageProcessorPil(min_pixels=area, max_pixels=area, patch_size=patch_size)
