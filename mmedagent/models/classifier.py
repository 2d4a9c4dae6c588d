"""Triage as a plain classifier: the base's vision tower and one linear layer, no language model.

METHOD, section 'What reviewers and readers found missing', item 4: triage by reinforcement learning
was never compared with one.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLVisionConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VisionTransformerPretrainedModel,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from mmedagent.atomic import new_folder, write_json
from mmedagent.cases.case import SPECIALTIES
from mmedagent.consultation.doctor import Prompt, Sampling, Usage
from mmedagent.digests import digest_folder
from mmedagent.errors import BrokenEvidenceError
from mmedagent.models.generate import sampler
from mmedagent.models.images import ImageCache, Prepared, open_image, pixels_key

CONFIG = "classifier.json"
WEIGHTS = "classifier.safetensors"
_KIND = "triage-classifier"


class SpecialtyNet(torch.nn.Module):
    """A vision tower, the mean over an image's tokens, one logit for each specialty."""

    def __init__(self, tower: Qwen2_5_VisionTransformerPretrainedModel) -> None:
        """Put a linear layer that starts at zero on `tower`: all specialties equally likely."""
        super().__init__()
        self.tower = tower
        self.head = torch.nn.Linear(tower.config.out_hidden_size, len(SPECIALTIES))
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)

    def forward(self, pixel_values: torch.Tensor, image_grid_thw: torch.Tensor) -> torch.Tensor:
        """Return logits, float [images, specialties].

        Args:
            pixel_values: float [patches of all images, values].
            image_grid_thw: int64 [images, 3], each image's grid of patches.
        """
        merged = self.tower(pixel_values, grid_thw=image_grid_thw).pooler_output
        tokens = image_grid_thw.prod(dim=1) // self.tower.spatial_merge_size**2
        means = [part.mean(dim=0) for part in merged.split(tokens.tolist())]
        logits: torch.Tensor = self.head(torch.stack(means))
        return logits


class TriageClassifier:
    """A `consultation.doctor.Doctor` that takes the triage doctor's place.

    It looks at the image alone: the question's wording could give the specialty away. It replies
    in the doctors' format, so that a consultation with it is the one consultation there is; drawn
    at temperature T it names a specialty with the probability softmax(logits / T).
    """

    def __init__(
        self, net: SpecialtyNet, images: Qwen2VLImageProcessorPil, batch_size: int = 64
    ) -> None:
        """Reply with `net`, on images that `images` prepares."""
        self.net = net
        self._images = images
        self._batch_size = batch_size
        self._cache = ImageCache()
        self._lock = Lock()
        self._usage = Usage()

    @property
    def usage(self) -> Usage:
        """What all replies so far took; a prompt's tokens are its image's, none are written."""
        return self._usage

    def logits(self, images: Sequence[bytes]) -> torch.Tensor:
        """Return the net's logits on encoded images, float [images, specialties].

        Raises `BadDataError` for an image that cannot be read.
        """
        patches, grids = zip(*(self._prepare(image) for image in images), strict=True)
        device = self.net.head.weight.device
        logits: torch.Tensor = self.net(
            torch.cat(patches).to(device), torch.stack(grids).to(device)
        )
        return logits

    def reply(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        """Return one reply to each prompt, in order, on the prompt's first image."""
        replies: list[str] = []
        with self._lock, torch.inference_mode():
            for start in range(0, len(prompts), self._batch_size):
                batch = prompts[start : start + self._batch_size]
                replies += self._reply_batch(batch, sampling, start)
        return replies

    def save(self, folder: Path) -> str:
        """Write the classifier to `folder` atomically (safetensors, no pickle); return its digest.

        Nothing written depends on time or machine.
        """
        vision = self.net.tower.config.to_dict()
        for key in ("transformers_version", "_name_or_path"):
            vision.pop(key, None)
        described = {"kind": _KIND, "classes": list(SPECIALTIES), "vision_config": vision}
        weights = {name: value.contiguous() for name, value in self.net.state_dict().items()}
        with new_folder(folder) as aside:
            save_file(weights, aside / WEIGHTS)
            write_json(aside / CONFIG, {"schema": 1, **described})
            self._images.save_pretrained(aside)
        return digest_folder(folder)

    @classmethod
    def load(cls, folder: Path, batch_size: int = 64) -> Self:
        """Read a classifier back.

        Raises:
            BrokenEvidenceError: the folder is incomplete, damaged, or of other specialties.
        """
        try:
            described: dict[str, Any] = json.loads((folder / CONFIG).read_bytes())
            classes, vision = described["classes"], described["vision_config"]
            weights = load_file(folder / WEIGHTS)
            images = Qwen2VLImageProcessorPil.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise BrokenEvidenceError(f"cannot load a classifier from {folder}: {error}") from error
        if classes != list(SPECIALTIES):
            raise BrokenEvidenceError(
                f"{folder / CONFIG}: of the specialties {', '.join(classes)}, not"
                f" {', '.join(SPECIALTIES)}: train it again"
            )
        config = Qwen2_5_VLVisionConfig(**vision)
        net = SpecialtyNet(Qwen2_5_VisionTransformerPretrainedModel._from_config(config))
        try:
            net.load_state_dict(weights)
        except RuntimeError as error:
            raise BrokenEvidenceError(f"{folder / WEIGHTS}: {error}") from error
        return cls(net.eval(), images, batch_size)

    def _tokens(self, image: bytes) -> int:
        _, grid = self._prepare(image)
        merged = int(grid.prod()) // self.net.tower.spatial_merge_size**2
        return int(merged)

    def _prepare(self, data: bytes) -> Prepared:
        image = open_image(data)
        key = pixels_key(image)
        prepared = self._cache.get(key)
        if prepared is None:
            made = self._images(image, return_tensors="pt")
            prepared = (made["pixel_values"], made["image_grid_thw"][0])
            self._cache.put(key, prepared)
        return prepared

    def _reply_batch(self, prompts: Sequence[Prompt], sampling: Sampling, first: int) -> list[str]:
        started = time.perf_counter()
        self.net.eval()
        logits = self.logits([prompt.images[0] for prompt in prompts]).float()
        # A reply is one draw from one distribution: the sampler of a text's first token.
        scores = sampler(sampling, first, len(prompts))(torch.empty(0), logits)
        chosen = scores.argmax(dim=1).tolist()
        shares = logits.softmax(dim=1)
        self._usage += Usage(
            replies=len(prompts),
            prompt_tokens=sum(self._tokens(prompt.images[0]) for prompt in prompts),
            seconds=time.perf_counter() - started,
        )
        return [
            f"<think> probability {share[index]:.2f}</think><answer> {SPECIALTIES[index]}</answer>"
            for index, share in zip(chosen, shares.tolist(), strict=True)
        ]


def is_classifier(folder: Path) -> bool:
    """Say whether a model folder holds a triage classifier."""
    return (folder / CONFIG).is_file()
