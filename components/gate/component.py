"""The gate: may the challenger replace the champion?"""

from kfp.dsl import HTML, Dataset, Input, Output

from components.shell import component


@component
def gate(
    plan: str, evaluation: Input[Dataset], verdict: Output[Dataset], page: Output[HTML]
) -> None:
    """Decide from the predictions: pass, fail or underpowered, with reasons.

    A verdict other than pass is a result, not a failure: the task succeeds, and deploy, which
    reads the verdict itself, leaves the served version alone.

    Args:
        plan: The planned task as JSON: recipe section, digests of inputs and code.
        evaluation: The predictions of all systems.
        verdict: The folder with verdict.json and verdict.html.
        page: The verdict as a page.
    """
    from pathlib import Path

    from mmedagent.gate.decide import decide
    from mmedagent.recipes.gate import GateRecipe
    from mmedagent.workdir import run_step

    run_step(plan, {".": verdict, "verdict.html": page}, lambda step: decide(
        Path(evaluation.path) / "predictions.parquet", step.recipe("gate", GateRecipe), step.out,
    ))  # fmt: skip
