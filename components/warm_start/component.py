"""The supervised warm start that makes the Start of a doctor."""

from kfp.dsl import Dataset, Input, Model, Output

from components.shell import component


@component
def warm_start(
    plan: str, agent: str, cases: Input[Dataset], model: Output[Model],
    opinions: Input[Dataset] = None,
) -> None:  # fmt: skip
    """Teach a doctor its role and format, on a pool that reinforcement learning does not see.

    Args:
        plan: The planned task as JSON: recipe section, base version, digests.
        agent: Which doctor, "triage" or "attending".
        cases: The data folder.
        model: The Start: weights, processor and curves.
        opinions: The panel's opinions, which the attending's prompts carry; none for triage.
    """
    from pathlib import Path

    from mmedagent.recipes.training import WarmStartRecipe
    from mmedagent.training.warm_start import warm_start
    from mmedagent.workdir import run_step

    run_step(plan, {".": model}, lambda step: warm_start(
        agent,  # type: ignore[arg-type]  # KFP knows no Literal
        Path(cases.path), Path(opinions.path) if opinions else None, step.fetched("base"),
        step.recipe(f"warm_start.{agent}", WarmStartRecipe), step.out, step.work,
    ))  # fmt: skip
