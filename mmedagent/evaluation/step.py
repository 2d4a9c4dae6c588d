"""From a planned task to `evaluate`: which pairs are compared, and where they lie."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmedagent.evaluation.evaluate import evaluate
from mmedagent.evaluation.systems import Pair
from mmedagent.home import home_folder
from mmedagent.recipes.evaluation import EvaluationRecipe
from mmedagent.recipes.panel import PanelRecipe
from mmedagent.registry.records import find_version
from mmedagent.registry.version import NONE
from mmedagent.registry.weights import fetch_pair
from mmedagent.workdir import Step, work_folder


def evaluate_step(
    step: Step,
    cases: str,
    challenger: tuple[str, str],
    start: tuple[str, str],
    models: Mapping[str, str],
) -> dict[str, Any]:
    """Measure the pairs that the plan names.

    Args:
        step: the planned task; its version `champion` is a registered version, or `none` on a
            first run, whose champion is the Start.
        cases: data folder.
        challenger: the trained pair, triage first.
        start: the warm-started pair, triage first.
        models: model folders of baselines that are models of their own, by name.

    Raises:
        BrokenEvidenceError: the champion is not registered, or its weights are not whole.
    """
    systems = {"challenger": _pair(challenger), "start": _pair(start)}
    champion = step.plan.versions["champion"]
    if champion != NONE:
        record = find_version(home_folder(), champion)
        folders = fetch_pair(step.store(), record, work_folder() / "models")
        systems["champion"] = Pair(*folders)
    return evaluate(
        Path(cases),
        step.fetched("panel"),
        work_folder() / "opinions",
        systems,
        step.recipe("evaluation", EvaluationRecipe),
        step.recipe("panel", PanelRecipe),
        step.out,
        step.work,
        {name: Path(folder) for name, folder in models.items()},
    )


def _pair(folders: tuple[str, str]) -> Pair:
    return Pair(Path(folders[0]), Path(folders[1]))
