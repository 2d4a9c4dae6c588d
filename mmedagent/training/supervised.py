"""Supervised fine-tuning, which warm starts, baselines and the laptop's specialists share."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import Qwen2_5_VLForConditionalGeneration

from mmedagent.consultation.doctor import Prompt
from mmedagent.errors import BadDataError
from mmedagent.models.inputs import encode, with_completions
from mmedagent.models.processor import ImageOnlyProcessor
from mmedagent.models.speed import speed_up
from mmedagent.recipes.training import SupervisedRecipe
from mmedagent.training.fingerprint import data_digest
from mmedagent.training.loop import Fit, run_loop


@dataclass(frozen=True)
class Example:
    """A prompt and the reply that it should get, without the end-of-turn token."""

    prompt: Prompt
    completion: str
    case_id: str = ""
    """The case that it is made of, for messages."""


def fit(
    model: Qwen2_5_VLForConditionalGeneration,
    processor: ImageOnlyProcessor,
    examples: Sequence[Example],
    recipe: SupervisedRecipe,
    *,
    seed: int,
    work: Path | None = None,
    title: str = "supervised",
    weights: Sequence[float] | None = None,
) -> Fit:
    """Train `model` in place to give each prompt its completion.

    Cross-entropy per completion token, averaged over the batch's tokens. Batches walk through
    shuffled epochs, or are drawn with replacement in proportion to `weights`; their order depends
    on `seed` alone. With `work`, checkpoints make the loop resumable: the same call after a kill
    gives the weights that an undisturbed one gives.

    Raises `BadDataError` without examples, `InterruptedWithCheckpoint` when asked to stop (with
    `work`), `BrokenEvidenceError` when the checkpoint that lies in `work` under this `title` is
    damaged or of another model, recipe or data, and `MMedAgentError` when the loss or the gradient
    is no number (the batch's cases are then listed in `work`).
    """
    if not examples:
        raise BadDataError(f"{title}: no examples to learn from")

    def loss_of(batch: Sequence[int]) -> torch.Tensor:
        return _loss(model, processor, [examples[index] for index in batch])

    speed_up(model)
    data = {"examples": data_digest(examples)}
    return run_loop(
        model,
        loss_of,
        len(examples),
        recipe,
        data,
        seed=seed,
        work=work,
        title=title,
        weights=weights,
        case_ids=[example.case_id for example in examples],
    )


def _loss(
    model: Qwen2_5_VLForConditionalGeneration,
    processor: ImageOnlyProcessor,
    examples: Sequence[Example],
) -> torch.Tensor:
    tokenizer = processor.tokenizer
    inputs = encode(processor, [example.prompt for example in examples])
    texts = [example.completion for example in examples]
    completions = [
        [*tokens, tokenizer.eos_token_id]
        for tokens in tokenizer(texts, add_special_tokens=False)["input_ids"]
    ]
    joined, mask = with_completions(inputs, completions, tokenizer.pad_token_id)
    joined = {name: tensor.to(model.device) for name, tensor in joined.items()}
    length = mask.shape[1]
    logits = model(**joined, logits_to_keep=length + 1).logits[:, :-1]
    targets = joined["input_ids"][:, -length:].masked_fill(mask.to(model.device) == 0, -100)
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
