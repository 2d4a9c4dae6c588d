"""One stage of the attending doctor's reinforcement learning."""

from kfp.dsl import Dataset, Input, Model, Output

from components.shell import component


@component
def train_attending(
    plan: str, stage: str, cases: Input[Dataset], opinions: Input[Dataset],
    curriculum: Input[Dataset], weights: Input[Model], start: Input[Model],
    model: Output[Model],
) -> None:  # fmt: skip
    """Train the attending doctor to decide from an image and the panel's opinions, by GRPO.

    Args:
        plan: The planned task as JSON: recipe section, digests of inputs and code.
        stage: The stage of the curriculum: "easy", "medium" or "hard".
        cases: The data folder.
        opinions: The panel's opinions.
        curriculum: Each case's tier.
        weights: The attending's Start, or what the stage before made of it.
        start: The attending's Start, which the KL penalty refers to if the recipe says so.
        model: The trained attending doctor, and its curves.
    """
    from pathlib import Path

    from mmedagent.recipes.training import AttendingRecipe
    from mmedagent.training.attending import train_stage
    from mmedagent.workdir import run_step

    run_step(plan, {".": model}, lambda step: train_stage(
        stage,  # type: ignore[arg-type]  # KFP knows no Literal
        Path(cases.path), Path(opinions.path), Path(curriculum.path), Path(weights.path),
        step.recipe("training.attending", AttendingRecipe), step.out, step.work,
        Path(start.path),
    ))  # fmt: skip
