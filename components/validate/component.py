"""The second step: refuse cases that must not reach training."""

from kfp.dsl import HTML, Dataset, Input, Output

from components.shell import component


@component
def validate(
    plan: str, cases: Input[Dataset], validation: Output[Dataset], docs: Output[HTML]
) -> None:
    """Check the cases against the expectation suite; a failed expectation fails the task.

    Args:
        plan: The planned task as JSON: recipe section, the data version before, digests.
        cases: The data folder.
        validation: The folder with the results and the Data Docs.
        docs: The Data Docs' first page.
    """
    from pathlib import Path

    from mmedagent.cases.validation import validate
    from mmedagent.recipes.data import ValidationRecipe
    from mmedagent.workdir import run_step

    run_step(plan, {".": validation, "index.html": docs}, lambda step: validate(
        Path(cases.path), step.recipe("validation", ValidationRecipe), step.out,
        work=step.work, before=step.fetched_if_any("before"),
    ))  # fmt: skip
