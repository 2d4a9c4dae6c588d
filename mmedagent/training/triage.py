"""Reinforcement learning of the triage doctor: METHOD, sections 'The consultation', 'Training'."""

from pathlib import Path
from typing import Any

from mmedagent.cases.store import read_multiple_choice
from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import triage_messages
from mmedagent.recipes.training import TriageRecipe
from mmedagent.training.balance import thin
from mmedagent.training.grpo import Task, train
from mmedagent.training.permute import permute
from mmedagent.training.reward import names_specialty


def train_triage(
    cases: Path, start: Path, recipe: TriageRecipe, out: Path, work: Path
) -> dict[str, Any]:
    """Train the Start in `start` to name the gold specialty; publish it in the folder `out`.

    The `train` pool is thinned to `recipe.most_imbalance`. Resumable through `work`; raises what
    `grpo.train` raises.
    """
    pool = thin(
        read_multiple_choice(cases, ["train"]),
        lambda case: case.specialty,
        recipe.most_imbalance,
        recipe.seed,
    )
    if recipe.permute_options:
        pool = [permute(case, (), recipe.seed)[0] for case in pool]
    tasks = [
        Task(
            prompt=Prompt(triage_messages(case.view(), recipe.style), case.images),
            case=case,
            entropy=recipe.entropy,
            kl=recipe.kl,
        )
        for case in pool
    ]
    return train(
        tasks, names_specialty, start, recipe, recipe.steps, stage="triage", out=out, work=work
    )
