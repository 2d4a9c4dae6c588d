"""The supervised warm start: makes a Start out of the base.

Random weights cannot explore: no rollout earns a reward that another one does not. A few
supervised steps on a pool of its own teach a doctor its format and some of its task, and no more.
"""

import logging
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from mmedagent.atomic import write_json
from mmedagent.cases.case import Case, Opinion
from mmedagent.cases.store import read_multiple_choice
from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import attending_messages, triage_messages
from mmedagent.errors import BadDataError
from mmedagent.models.generate import LocalDoctor
from mmedagent.models.load import best_device, load_model, load_processor
from mmedagent.models.save import save_model
from mmedagent.panel.table import read_opinions
from mmedagent.recipes.training import SupervisedRecipe, WarmStartRecipe
from mmedagent.training.balance import pick
from mmedagent.training.completions import option_completion, triage_completion
from mmedagent.training.loop import Fit
from mmedagent.training.measure import Height, measure
from mmedagent.training.permute import permute
from mmedagent.training.reward import names_option, names_specialty
from mmedagent.training.supervised import Example, fit

_log = logging.getLogger(__name__)
Agent = Literal["triage", "attending"]
MEASURED_CASES = 200
"""How many training cases, which no supervised step sees, say how high the Start stands."""

Labelled = Sequence[tuple[Case, tuple[Opinion, ...]]]


def warm_start(
    agent: Agent,
    cases: Path,
    opinions: Path | None,
    base: Path,
    recipe: WarmStartRecipe,
    out: Path,
    work: Path,
) -> dict[str, Any]:
    """Teach `agent` on the `warm_start` pool and publish the Start in the model folder `out`.

    The attending needs `opinions` on the pools `warm_start` and `train`. Returns losses and how
    high the Start stands, greedy and sampled, on cases of the `train` pool that it has not seen.
    Resumable through `work`. Raises `BadDataError` when the pool is empty or opinions lack.
    """
    pool = _labelled(agent, _pool(cases, recipe), opinions, recipe)
    steps = recipe.fit.steps + (recipe.alone.steps if recipe.alone else 0)
    # A base that is the Start as it is stays in the precision that it is stored in.
    model = load_model(base, dtype="float32" if steps else "auto").to(best_device())
    processor = load_processor(base)
    fits: dict[str, Fit] = {}
    if agent == "attending" and recipe.alone:
        alone = [(case, ()) for case, _ in pool]
        fits["alone"] = _fit(model, processor, agent, alone, recipe, recipe.alone, work, "alone")
    fits["fit"] = _fit(model, processor, agent, pool, recipe, recipe.fit, work, "fit")
    probe = _labelled(agent, _probe(cases, recipe), opinions, recipe)
    judge = names_specialty if agent == "triage" else names_option
    height = measure(
        LocalDoctor.of(model, processor, batch_size=100),
        [_prompt(agent, case, said, recipe) for case, said in probe],
        [case for case, _ in probe],
        judge,
        max_new_tokens=recipe.max_new_tokens,
        seed=recipe.seed,
    )
    _warn(agent, height)
    save_model(out, model, processor)
    facts: dict[str, Any] = {"agent": agent, "cases": len(pool), **height.model_dump()}
    for name, done in fits.items():
        facts |= {
            f"{name}_steps": done.steps,
            f"{name}_loss": done.last_loss,
            **_seconds(name, done),
        }
    write_json(work / "warm_start.json", facts)
    return facts


def _pool(cases: Path, recipe: WarmStartRecipe) -> list[Case]:
    pool = read_multiple_choice(cases, ["warm_start"])
    if not pool:
        raise BadDataError(f"{cases}: the warm_start pool is empty")
    if recipe.cases is None:
        return pool
    return pick(pool, lambda case: (case.specialty, case.question_type), recipe.cases, recipe.seed)


def _probe(cases: Path, recipe: WarmStartRecipe) -> list[Case]:
    pool = read_multiple_choice(cases, ["train"])
    return random.Random(recipe.seed).sample(pool, min(MEASURED_CASES, len(pool)))


def _labelled(
    agent: Agent, pool: Sequence[Case], opinions: Path | None, recipe: WarmStartRecipe
) -> Labelled:
    """Pair cases with their opinions (none for triage), options shuffled if the recipe says so."""
    said: dict[str, tuple[Opinion, ...]] = {}
    if agent == "attending":
        if opinions is None:
            raise BadDataError("the attending's warm start needs the panel's opinions")
        said = read_opinions(opinions)
        missing = [case.case_id for case in pool if case.case_id not in said]
        if missing:
            raise BadDataError(
                f"{opinions}: no opinions on {len(missing)} cases, the first {missing[0]!r}"
            )
    pairs = [(case, said.get(case.case_id, ())) for case in pool]
    if recipe.permute_options:
        return [permute(case, heard, recipe.seed) for case, heard in pairs]
    return pairs


def _prompt(agent: Agent, case: Case, said: Sequence[Opinion], recipe: WarmStartRecipe) -> Prompt:
    if agent == "triage":
        return Prompt(triage_messages(case.view(), recipe.style), case.images)
    return Prompt(attending_messages(case.view(), said, recipe.style), case.images)


def _fit(
    model: Any,
    processor: Any,
    agent: Agent,
    pool: Labelled,
    recipe: WarmStartRecipe,
    loop: SupervisedRecipe,
    work: Path,
    name: str,
) -> Fit:
    examples = [
        Example(
            _prompt(agent, case, said, recipe),
            triage_completion(case) if agent == "triage" else option_completion(case, case.letter),
            case.case_id,
        )
        for case, said in pool
    ]
    title = f"warm start of {agent}, {name}"
    return fit(model, processor, examples, loop, seed=recipe.seed, work=work, title=title)


def _seconds(name: str, done: Fit) -> dict[str, float]:
    return {f"{name}_seconds": round(done.seconds, 3)}


def _warn(agent: Agent, height: Height) -> None:
    text = (
        f"{agent} Start: greedy {height.greedy_accuracy:.3f}, sampled "
        f"{height.sampled_accuracy:.3f}, format {height.sampled_format_rate:.3f}"
    )
    if not 0.3 <= height.sampled_accuracy <= 0.8:
        _log.warning("%s: sampled accuracy near 0.5 trains best", text)
    else:
        _log.info("%s", text)
