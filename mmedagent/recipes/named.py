"""The named recipes. A recipe is a function that returns a typed, spelt-out config."""

from collections.abc import Callable

from mmedagent.recipes.data import DataRecipe, ValidationRecipe
from mmedagent.recipes.evaluation import EvaluationRecipe
from mmedagent.recipes.gate import GateRecipe
from mmedagent.recipes.model import ModelRecipe
from mmedagent.recipes.panel import CurriculumRecipe, PanelRecipe, PanelTrainingRecipe
from mmedagent.recipes.schema import Recipe, Training, WarmStarts
from mmedagent.recipes.serving import ServingRecipe
from mmedagent.recipes.training import (
    AttendingRecipe,
    SupervisedRecipe,
    TriageRecipe,
    WarmStartRecipe,
)


def laptop() -> Recipe:
    """The whole DAG on two CPU cores in minutes: a tiny model of the real class, starter images."""
    return Recipe(
        name="laptop",
        data=DataRecipe(),
        validation=ValidationRecipe(),
        model=ModelRecipe(),
        panel=PanelRecipe(),
        panel_training=PanelTrainingRecipe(),
        curriculum=CurriculumRecipe(),
        warm_start=WarmStarts(
            triage=WarmStartRecipe(cases=120, fit=SupervisedRecipe(steps=30)),
            attending=WarmStartRecipe(fit=SupervisedRecipe(steps=80)),
        ),
        training=Training(triage=TriageRecipe(), attending=AttendingRecipe()),
        evaluation=EvaluationRecipe(),
        gate=GateRecipe(),
        serving=ServingRecipe(),
    )


RECIPES: dict[str, Callable[[], Recipe]] = {"laptop": laptop}
"""Every recipe that `--recipe` accepts."""
