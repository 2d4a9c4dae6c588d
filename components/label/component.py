"""The panel's opinions on the cases that are trained on."""

from kfp.dsl import Dataset, Input, Output

from components.shell import component


@component
def label(plan: str, cases: Input[Dataset], opinions: Output[Dataset]) -> None:
    """Ask the frozen panel about every training case, in its gold specialty unless told otherwise.

    Args:
        plan: The planned task as JSON: recipe sections, panel version, digests.
        cases: The data folder.
        opinions: The opinions as Parquet.
    """
    from pathlib import Path

    from mmedagent.panel.label import label
    from mmedagent.recipes.panel import LabelRecipe, PanelRecipe
    from mmedagent.workdir import run_step, work_folder

    run_step(plan, {".": opinions}, lambda step: label(
        Path(cases.path), step.fetched("panel"), step.recipe("panel", PanelRecipe),
        step.recipe("label", LabelRecipe), work_folder() / "opinions", step.out,
    ))  # fmt: skip
