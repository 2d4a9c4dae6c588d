"""Reinforcement learning of the attending physician: METHOD, section 'Curriculum (C-MARL)'.

Three stages, each from the weights of the one before. Cumulative by default: stages on one tier
alone teach "never what the panel said", since nothing in a prompt tells its tier.
"""

import logging
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmedagent.atomic import new_folder, write_text
from mmedagent.cases.case import Case, Opinion
from mmedagent.cases.store import read_multiple_choice
from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import attending_messages
from mmedagent.errors import BadDataError, UsageError
from mmedagent.panel.table import Placement, Tier, read_curriculum, read_opinions
from mmedagent.recipes.training import STAGES, AttendingRecipe, Stage, TierCoefficients
from mmedagent.training.curves import FILE
from mmedagent.training.grpo import Task, train
from mmedagent.training.permute import permute
from mmedagent.training.reward import names_option

_log = logging.getLogger(__name__)


def train_stage(
    stage: Stage,
    cases: Path,
    opinions: Path,
    curriculum: Path,
    weights: Path,
    recipe: AttendingRecipe,
    out: Path,
    work: Path,
    start: Path | None = None,
) -> dict[str, Any]:
    """Train the attending for one stage from `weights`, and publish it in the folder `out`.

    Which cases the stage trains on, and with which coefficients, is said by `recipe.order`,
    `stages`, `replay`, `draws`, `entropy_by` and `kl_by`; the KL refers to `weights`, or to
    `start` (the attending's Start) if `recipe.kl_reference` says so. A stage that brings in no
    case is skipped: `out` is then a copy of `weights`, and the returned `skipped` is true.
    Resumable through `work`; raises `BadDataError` when a training case has no opinions or no
    tier, `UsageError` when the Start is referred to and not given, and what `grpo.train` raises.
    """
    pool = read_multiple_choice(cases, ["train"])
    placements = read_curriculum(curriculum)
    said = read_opinions(opinions)
    _check(pool, placements, said)
    tiers = [placements[case.case_id].tier for case in pool]
    if not set(brought_in(stage, recipe)) & set(tiers):
        return _skip(stage, weights, out)
    tasks = stage_tasks(stage, pool, tiers, [said[case.case_id] for case in pool], recipe)
    facts = train(
        tasks,
        names_option,
        weights,
        recipe,
        getattr(recipe.steps, stage),
        stage=stage,
        out=out,
        work=work,
        reference=reference_of(weights, start, recipe),
    )
    return {**facts, "skipped": False, "tiers": sorted(set(tiers_of(stage, recipe)) & set(tiers))}


def stage_tasks(
    stage: Stage,
    pool: Sequence[Case],
    tiers: Sequence[Tier],
    opinions: Sequence[Sequence[Opinion]],
    recipe: AttendingRecipe,
) -> list[Task]:
    """Return what a stage trains on: the pool's cases of its tiers, with their coefficients."""
    drawn = draws_of(stage, Counter(tiers), recipe)
    coefficients = coefficients_of(stage, Counter(tiers), recipe)
    return [
        _task(case, said, coefficients[tier], drawn[tier], recipe)
        for case, tier, said in zip(pool, tiers, opinions, strict=True)
        if drawn[tier] > 0
    ]


def tiers_of(stage: Stage, recipe: AttendingRecipe) -> tuple[Tier, ...]:
    """Return the tiers whose cases a stage trains on, leaving replay aside."""
    if recipe.order == "shuffled":
        return STAGES
    sequence = STAGES if recipe.order == "easy_to_hard" else STAGES[::-1]
    place = STAGES.index(stage)
    return sequence[place : place + 1] if recipe.stages == "plain" else sequence[: place + 1]


def brought_in(stage: Stage, recipe: AttendingRecipe) -> tuple[Tier, ...]:
    """Return the tiers without which a stage has nothing new to train on."""
    return STAGES if recipe.order == "shuffled" else tiers_of(stage, recipe)[-1:]


def draws_of(stage: Stage, sizes: Mapping[Tier, int], recipe: AttendingRecipe) -> dict[Tier, float]:
    """Return how often a case of each tier is drawn in an epoch of the stage; 0 is not at all.

    With replay, earlier tiers together make up the share `recipe.replay` of the prompts.
    """
    own = tiers_of(stage, recipe)
    draws = {tier: getattr(recipe.draws, tier) if tier in own else 0.0 for tier in STAGES}
    if recipe.replay:
        place = STAGES.index(stage)
        earlier = {t for before in STAGES[:place] for t in tiers_of(before, recipe)}
        mass = sum(draws[tier] * sizes.get(tier, 0) for tier in own)
        replayed = sum(sizes.get(tier, 0) for tier in earlier)
        if replayed:
            each = mass * recipe.replay / (1 - recipe.replay) / replayed
            draws |= dict.fromkeys(earlier, each)
    return draws


def coefficients_of(
    stage: Stage, sizes: Mapping[Tier, int], recipe: AttendingRecipe
) -> dict[Tier, TierCoefficients]:
    """Return the entropy and KL coefficients of each tier's cases in a stage.

    `sizes` are the tiers' numbers of training cases, which the constant ones are weighted by.
    """
    table = {tier: getattr(recipe.coefficients, tier) for tier in STAGES}
    total = sum(sizes.get(tier, 0) for tier in STAGES)

    def value(name: str, by: str, tier: Tier) -> float:
        if by == "zero":
            return 0.0
        if by == "constant":
            weighed = (getattr(table[t], name) * sizes.get(t, 0) for t in STAGES)
            return float(sum(weighed) / max(1, total))
        return float(getattr(table[tier if by == "tier" else stage], name))

    return {
        tier: TierCoefficients(
            entropy=value("entropy", recipe.entropy_by, tier), kl=value("kl", recipe.kl_by, tier)
        )
        for tier in STAGES
    }


def reference_of(weights: Path, start: Path | None, recipe: AttendingRecipe) -> Path:
    """Return the model that a stage's KL penalty refers to.

    Raises `UsageError` when that is the Start and `start` is None.
    """
    if recipe.kl_reference == "stage":
        return weights
    if start is None:
        raise UsageError("kl_reference is the Start, but no Start was given to this stage")
    return start


def _task(
    case: Case,
    opinions: Sequence[Opinion],
    coefficients: TierCoefficients,
    draws: float,
    recipe: AttendingRecipe,
) -> Task:
    if recipe.permute_options:
        case, opinions = permute(case, opinions, recipe.seed)
    return Task(
        prompt=Prompt(attending_messages(case.view(), opinions, recipe.style), case.images),
        case=case,
        entropy=coefficients.entropy,
        kl=coefficients.kl,
        draws=draws,
    )


def _check(
    pool: Sequence[Case], placements: Mapping[str, Placement], said: Mapping[str, Any]
) -> None:
    for name, known in (("tier", placements), ("opinions", said)):
        missing = [case.case_id for case in pool if case.case_id not in known]
        if missing:
            raise BadDataError(
                f"{len(missing)} training cases have no {name}, the first {missing[0]!r}"
            )


def _skip(stage: Stage, weights: Path, out: Path) -> dict[str, Any]:
    _log.warning(
        "stage %s has no cases of its tier and is skipped: weights stay as they were", stage
    )
    with new_folder(out) as folder:
        shutil.copytree(weights, folder, dirs_exist_ok=True)
        write_text(folder / FILE, "")
    return {"stage": stage, "steps": 0, "tasks": 0, "seconds": 0.0, "skipped": True}
