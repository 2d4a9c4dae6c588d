"""Reinforcement learning of the attending physician: METHOD, section 'Curriculum (C-MARL)'.

Three stages, each from the weights of the one before. Cumulative by default: stages on one tier
alone teach "never what the panel said", since nothing in a prompt tells its tier.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmedagent.atomic import new_folder, write_text
from mmedagent.cases.case import Case, Opinion
from mmedagent.cases.store import read_cases
from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import attending_messages
from mmedagent.errors import BadDataError
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
) -> dict[str, Any]:
    """Train the attending for one stage from `weights`, and publish it in the folder `out`.

    Each case keeps its own tier's coefficients, whatever the stage. A stage that brings in no
    case is skipped: `out` is then a copy of `weights`, and the returned `skipped` is true.
    Resumable through `work`; raises `BadDataError` when a training case has no opinions or no
    tier, and what `grpo.train` raises.
    """
    pool = read_cases(cases, ["train"])
    placements = read_curriculum(curriculum)
    said = read_opinions(opinions)
    _check(pool, placements, said)
    tiers = tiers_of(stage, recipe)
    chosen = [case for case in pool if placements[case.case_id].tier in tiers]
    if not any(placements[case.case_id].tier == stage for case in chosen):
        return _skip(stage, weights, out)
    tasks = [
        _task(case, said[case.case_id], placements[case.case_id].tier, recipe) for case in chosen
    ]
    steps: int = getattr(recipe.steps, stage)
    facts = train(tasks, names_option, weights, recipe, steps, stage=stage, out=out, work=work)
    return {**facts, "skipped": False, "tiers": list(tiers)}


def tiers_of(stage: Stage, recipe: AttendingRecipe) -> tuple[Tier, ...]:
    """Return the tiers whose cases a stage trains on."""
    if recipe.stages == "plain":
        return (stage,)
    return STAGES[: STAGES.index(stage) + 1]


def coefficients_of(tier: Tier, recipe: AttendingRecipe) -> TierCoefficients:
    """Return a tier's entropy and KL coefficients."""
    coefficients: TierCoefficients = getattr(recipe.coefficients, tier)
    return coefficients


def _task(case: Case, opinions: Sequence[Opinion], tier: Tier, recipe: AttendingRecipe) -> Task:
    if recipe.permute_options:
        case, opinions = permute(case, opinions, recipe.seed)
    coefficients = coefficients_of(tier, recipe)
    return Task(
        prompt=Prompt(attending_messages(case.view(), opinions, recipe.style), (case.image,)),
        case=case,
        entropy=coefficients.entropy,
        kl=coefficients.kl,
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
