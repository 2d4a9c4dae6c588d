"""The curriculum: easy, medium and hard cases by the panel's agreement."""

from kfp.dsl import Dataset, Input, Output

from components.shell import component


@component
def curriculum(
    plan: str, cases: Input[Dataset], opinions: Input[Dataset], curriculum: Output[Dataset]
) -> None:
    """Sort the training cases into tiers by the share of the panel that is right.

    Args:
        plan: The planned task as JSON: recipe section, digests of inputs and code.
        cases: The data folder.
        opinions: The panel's opinions.
        curriculum: Each case's agreement and tier.
    """
    from pathlib import Path

    from mmedagent.panel.curriculum import sort_cases
    from mmedagent.recipes.panel import CurriculumRecipe
    from mmedagent.workdir import run_step

    run_step(plan, {".": curriculum}, lambda step: sort_cases(
        Path(cases.path), Path(opinions.path), step.recipe("curriculum", CurriculumRecipe),
        step.out,
    ))  # fmt: skip
