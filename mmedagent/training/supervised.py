"""The supervised loop that warm starts and the laptop's specialists share."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2_5_VLForConditionalGeneration

from mmedagent import progress
from mmedagent.consultation.doctor import Prompt
from mmedagent.errors import BadDataError, MMedAgentError
from mmedagent.models.inputs import encode, with_completions
from mmedagent.models.processor import ImageOnlyProcessor
from mmedagent.models.speed import speed_up
from mmedagent.recipes.training import SupervisedRecipe
from mmedagent.training.fingerprint import architecture, data_digest, weights_digest
from mmedagent.training.interrupt import stop_requests
from mmedagent.training.state import TrainingState

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Example:
    """A prompt and the reply that it should get, without the end-of-turn token."""

    prompt: Prompt
    completion: str


@dataclass
class Fit:
    """What a supervised loop did: its losses (nats per token) and its seconds, over all resumes."""

    steps: int = 0
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0


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
    damaged or of another model, recipe or data, and `MMedAgentError` when the loss is no number.
    """
    if not examples:
        raise BadDataError(f"{title}: no examples to learn from")
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=0.0)
    done = Fit()
    state = None
    if work:
        identity = _fingerprint(model, examples, recipe, seed, weights)
        state = TrainingState(work, title, identity)
        done = _resume(state, model, optimizer)
    started = time.perf_counter() - done.seconds
    speed_up(model).train()
    with stop_requests() as request:
        for step, batch in enumerate(_batches(len(examples), recipe, seed, weights)):
            if step < done.steps:
                continue
            for group in optimizer.param_groups:
                group["lr"] = _learning_rate(recipe, step)
            loss = _loss(model, processor, [examples[index] for index in batch])
            _step(model, optimizer, loss, recipe.max_grad_norm, f"{title}, step {step}")
            done.losses.append(round(loss.item(), 6))
            done.steps, done.seconds = step + 1, time.perf_counter() - started
            progress.tell(done.steps, recipe.steps, f"{title}: loss {done.losses[-1]:.3f}")
            due = done.steps % recipe.checkpoint_every == 0 and done.steps < recipe.steps
            if state and (due or request.asked):
                state.save(model, optimizer, done.steps, vars(done))
            if state and request.asked:
                raise request.stopped(str(work))
    model.eval()
    return done


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


def _step(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: torch.Tensor,
    max_grad_norm: float,
    where: str,
) -> None:
    if not torch.isfinite(loss):
        raise MMedAgentError(f"{where}: the loss is {loss.item()}; lower the learning rate")
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    optimizer.zero_grad()


def _learning_rate(recipe: SupervisedRecipe, step: int) -> float:
    """Linear warm-up, then constant."""
    return recipe.learning_rate * min(1.0, (step + 1) / max(1, recipe.warmup_steps))


def _batches(
    count: int, recipe: SupervisedRecipe, seed: int, weights: Sequence[float] | None
) -> Iterator[list[int]]:
    """Yield `recipe.steps` batches of example numbers, the same ones for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    size = recipe.batch_size
    if weights is not None:
        shares = torch.tensor(weights, dtype=torch.float64)
        for _ in range(recipe.steps):
            yield torch.multinomial(shares, size, replacement=True, generator=generator).tolist()
        return
    waiting: list[int] = []
    for _ in range(recipe.steps):
        while len(waiting) < size:
            waiting += torch.randperm(count, generator=generator).tolist()
        yield waiting[:size]
        del waiting[:size]


def _fingerprint(
    model: torch.nn.Module,
    examples: Sequence[Example],
    recipe: SupervisedRecipe,
    seed: int,
    weights: Sequence[float] | None,
) -> dict[str, Any]:
    """Return what must be equal for a checkpoint of this loop to be gone on from."""
    return {
        "architecture": architecture(model),
        "start": weights_digest(model),
        "recipe": recipe.model_dump(mode="json", exclude={"checkpoint_every"}),
        "examples": data_digest(examples),
        "weights": data_digest(weights or ()),
        "seed": seed,
    }


def _resume(state: TrainingState, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Fit:
    facts = state.load(model, optimizer)
    if facts is None:
        return Fit()
    _log.info("going on from a checkpoint at step %d", facts["steps"])
    return Fit(**facts)
