"""What every training of a study begins with: the Starts, the seed, the steps of a quick look."""

import os
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from mmedagent.recipes.baselines import (
    SupervisedAttendingRecipe,
    SupervisedTriageRecipe,
    TriageClassifierRecipe,
)
from mmedagent.recipes.training import StageSteps, WarmStartRecipe
from mmedagent.study.context import Context
from mmedagent.study.panel import labels
from mmedagent.training.warm_start import Agent, warm_start

QUICK_STEPS = 2
"""Steps of each training in a quick study."""
Supervised = TypeVar(
    "Supervised",
    SupervisedAttendingRecipe,
    SupervisedTriageRecipe,
    TriageClassifierRecipe,
    WarmStartRecipe,
)


def start_of(agent: Agent, seed: int, context: Context) -> Path:
    """Return the Start of a doctor for `seed`, made if it is not there."""
    folder = context.seed_work(seed) / f"start-{agent}"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            section: WarmStartRecipe = getattr(context.recipe.warm_start, agent)
            recipe = seeded(section, seed, context)
            opinions = labels(context) if agent == "attending" else None
            work = context.seed_work(seed) / f"start-{agent}.work"
            warm_start(agent, context.cases, opinions, context.base, recipe, folder, work)
    return folder


def seeded(recipe: Supervised, seed: int, context: Context) -> Supervised:
    """Return a supervised recipe with the cell's seed, shortened in a quick study."""
    changes: dict[str, object] = {"seed": seed}
    if context.quick:
        changes["fit"] = recipe.fit.model_copy(update={"steps": 4 * QUICK_STEPS})
    return recipe.model_copy(update=changes)


def quick_stages() -> StageSteps:
    """Return the attending's steps in a quick study."""
    return StageSteps(easy=QUICK_STEPS, medium=QUICK_STEPS, hard=QUICK_STEPS)


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its ended children (a panel served to itself)."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system
