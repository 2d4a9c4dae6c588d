"""`LocalDoctor`: a model in this process that replies to prompts."""

import time
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Self

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    Qwen2_5_VLForConditionalGeneration,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from mmedagent.consultation.doctor import Prompt, Sampling, Usage
from mmedagent.models.inputs import encode
from mmedagent.models.load import best_device, load_model, load_processor
from mmedagent.models.processor import ImageOnlyProcessor


class LocalDoctor:
    """Replies with a model held in memory: greedy, or sampled reproducibly.

    A sampled reply depends on the seed, the prompt and its place in the list, and not on how the
    prompts were cut into batches. Calls are serialised by a lock.
    """

    def __init__(
        self,
        path_or_id: str | Path,
        *,
        batch_size: int = 64,
        device: str | None = None,
        local_files_only: bool = True,
    ) -> None:
        """Load a doctor in the precision that it is stored in; `device` None is the best one."""
        self._start(
            load_model(path_or_id, local_files_only=local_files_only, dtype="auto").to(
                device or best_device()
            ),
            load_processor(path_or_id, local_files_only=local_files_only),
            batch_size,
        )

    @classmethod
    def of(
        cls,
        model: Qwen2_5_VLForConditionalGeneration,
        processor: ImageOnlyProcessor,
        batch_size: int = 64,
    ) -> Self:
        """Make a doctor of a model that is already in memory."""
        doctor = cls.__new__(cls)
        doctor._start(model, processor, batch_size)
        return doctor

    def _start(
        self,
        model: Qwen2_5_VLForConditionalGeneration,
        processor: ImageOnlyProcessor,
        batch_size: int,
    ) -> None:
        self._model = model
        self._processor = processor
        self._batch_size = batch_size
        self._lock = Lock()
        self._usage = Usage()

    @property
    def usage(self) -> Usage:
        """What all replies so far took."""
        return self._usage

    def reply(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        """Return one reply to each prompt, in order; reply tags kept, special tokens dropped."""
        replies: list[str] = []
        with self._lock, torch.inference_mode():
            for start in range(0, len(prompts), self._batch_size):
                batch = prompts[start : start + self._batch_size]
                replies += self._reply_batch(batch, sampling, start)
        return replies

    def _reply_batch(self, prompts: Sequence[Prompt], sampling: Sampling, first: int) -> list[str]:
        model = self._model
        started = time.perf_counter()
        was_training = model.training
        model.eval()
        inputs = encode(self._processor, prompts).to(model.device)
        tokens = model.generate(
            **inputs,
            max_new_tokens=sampling.max_new_tokens,
            do_sample=False,
            # The configuration of a pretrained model may hold sampling defaults: undo them.
            temperature=None,
            top_p=None,
            top_k=None,
            repetition_penalty=1.0,
            suppress_tokens=[model.config.image_token_id, model.config.video_token_id],
            logits_processor=sampler(sampling, first, len(prompts)),
        )
        model.train(was_training)
        completions = tokens[:, inputs["input_ids"].shape[1] :]
        texts: list[str] = self._processor.batch_decode(completions, skip_special_tokens=True)
        padding = self._processor.tokenizer.pad_token_id
        self._usage += Usage(
            replies=len(prompts),
            prompt_tokens=int(inputs["attention_mask"].sum()),
            completion_tokens=int((completions != padding).sum()),
            seconds=time.perf_counter() - started,
        )
        return texts


def sampler(sampling: Sampling, first: int, count: int) -> LogitsProcessorList:
    """Return what turns logits into scores whose largest is the reply's next token.

    Unchanged at temperature 0, else a draw; for the rows `first` to `first + count` of a request.
    """
    if sampling.temperature == 0:
        return LogitsProcessorList()
    steps: list[Any] = [TemperatureLogitsWarper(float(sampling.temperature))]
    if sampling.top_p < 1:
        steps.append(TopPLogitsWarper(sampling.top_p))
    steps.append(GumbelNoise(sampling.seed, range(first, first + count)))
    return LogitsProcessorList(steps)


class GumbelNoise(LogitsProcessor):
    """Turns greedy decoding into sampling, with a random stream of its own for each row.

    The largest of logits plus standard Gumbel noise is a draw from their softmax (the Gumbel-max
    trick). Rows: the prompts' places in the whole request, not in the batch.
    """

    def __init__(self, seed: int, rows: Sequence[int]) -> None:
        self._streams = [torch.Generator().manual_seed(_row_seed(seed, row)) for row in rows]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return `scores` [rows, vocabulary] with noise added."""
        uniform = torch.stack([torch.rand(scores.shape[1], generator=s) for s in self._streams])
        # Away from 0 and 1, where the noise is infinite.
        uniform = uniform.clamp(1e-7, 1 - 1e-7).to(scores.device)
        return scores - torch.log(-torch.log(uniform)).to(scores.dtype)


def _row_seed(seed: int, row: int) -> int:
    # A product with odd 64-bit constants spreads neighbouring seeds and rows (splitmix64).
    mixed = (seed * 0x9E3779B97F4A7C15 + row * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) % 2**64
    return mixed ^ (mixed >> 31)
