"""One resumable supervised loop: AdamW, linear warm-up, clipped gradients, whatever the loss."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mmedagent import progress
from mmedagent.interrupt import stop_requests
from mmedagent.recipes.training import SupervisedRecipe
from mmedagent.training.fingerprint import architecture, data_digest, weights_digest
from mmedagent.training.guards import first_bad, stop_at_bad_number
from mmedagent.training.state import TrainingState

_log = logging.getLogger(__name__)

LossOf = Callable[[Sequence[int]], torch.Tensor]
"""The loss, a scalar tensor, on the examples of these numbers."""


@dataclass
class Fit:
    """What a supervised loop did: its losses (nats) and its seconds, over all resumes."""

    steps: int = 0
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def last_loss(self) -> float | None:
        """The mean loss of the last ten steps; None without a step."""
        tail = self.losses[-10:]
        return round(sum(tail) / len(tail), 4) if tail else None


def run_loop(
    model: torch.nn.Module,
    loss_of: LossOf,
    count: int,
    recipe: SupervisedRecipe,
    data: Mapping[str, Any],
    *,
    seed: int,
    work: Path | None,
    title: str,
    weights: Sequence[float] | None = None,
    case_ids: Sequence[str] = (),
) -> Fit:
    """Train what is not frozen of `model`, in place, on `count` examples.

    Batches walk through shuffled epochs, or are drawn with replacement in proportion to `weights`;
    their order depends on `seed` alone. With `work`, checkpoints make the loop resumable: the same
    call after a kill gives the weights that an undisturbed one gives. `data` says, JSON-able, what
    is learned from: a checkpoint of other data is refused.

    Raises `InterruptedWithCheckpoint` when asked to stop (with `work`), `BrokenEvidenceError` when
    the checkpoint that lies in `work` under this `title` is damaged or of another model, recipe or
    data, and `MMedAgentError` when the loss or the gradient is no number; `bad_batch.json` in
    `work` then holds the batch's `case_ids`, given here as one for each example.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=recipe.learning_rate, weight_decay=0.0)
    done = Fit()
    state = None
    if work:
        state = TrainingState(work, title, _fingerprint(model, data, recipe, seed, weights))
        done = _resume(state, model, optimizer)
    started = time.perf_counter() - done.seconds
    model.train()
    with stop_requests() as request:
        for step, batch in enumerate(_batches(count, recipe, seed, weights)):
            if step < done.steps:
                continue
            for group in optimizer.param_groups:
                group["lr"] = _learning_rate(recipe, step)
            loss = loss_of(batch)
            bad = _step(model, optimizer, loss, recipe.max_grad_norm)
            if bad:
                ids = [case_ids[index] for index in batch] if case_ids else []
                stop_at_bad_number(*bad, _MEND, title=title, step=step + 1, cases=ids, work=work)
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


_MEND = "lower the learning rate"


def _step(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: torch.Tensor,
    max_grad_norm: float,
) -> tuple[str, float] | None:
    """Make one step; or make none and return what is no number, and which."""
    if (bad := first_bad([loss.item()])) is not None:
        return "the loss", bad
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    if (bad := first_bad([float(norm)])) is not None:
        return "the gradient's norm", bad
    optimizer.step()
    optimizer.zero_grad()
    return None


def _learning_rate(recipe: SupervisedRecipe, step: int) -> float:
    """Linear warm-up, then as the recipe's schedule says."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    if recipe.schedule == "constant":
        return recipe.learning_rate
    done = (step - recipe.warmup_steps) / (recipe.steps - recipe.warmup_steps)
    return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2


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
    data: Mapping[str, Any],
    recipe: SupervisedRecipe,
    seed: int,
    weights: Sequence[float] | None,
) -> dict[str, Any]:
    """Return what must be equal for a checkpoint of this loop to be gone on from."""
    return {
        "architecture": architecture(model),
        "start": weights_digest(model),
        "recipe": recipe.model_dump(mode="json", exclude={"checkpoint_every"}),
        **data,
        "weights": data_digest(weights or ()),
        "seed": seed,
    }


def _resume(state: TrainingState, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Fit:
    facts = state.load(model, optimizer)
    if facts is None:
        return Fit()
    _log.info("going on from a checkpoint at step %d", facts["steps"])
    return Fit(**facts)
