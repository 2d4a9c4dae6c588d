"""Reinforcement learning of the triage doctor."""

from kfp.dsl import Dataset, Input, Model, Output

from components.shell import component


@component
def train_triage(
    plan: str, cases: Input[Dataset], start: Input[Model], model: Output[Model]
) -> None:
    """Train the triage doctor to name the specialty of a case, by GRPO from its Start.

    Args:
        plan: The planned task as JSON: recipe section, digests of inputs and code.
        cases: The data folder.
        start: The triage doctor's Start.
        model: The trained triage doctor, and its curves.
    """
    from pathlib import Path

    from mmedagent.recipes.training import TriageRecipe
    from mmedagent.training.triage import train_triage
    from mmedagent.workdir import run_step

    run_step(plan, {".": model}, lambda step: train_triage(
        Path(cases.path), Path(start.path), step.recipe("training.triage", TriageRecipe),
        step.out, step.work,
    ))  # fmt: skip
