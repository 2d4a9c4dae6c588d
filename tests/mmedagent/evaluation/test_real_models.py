"""The step itself: real tiny models, the panel served on loopback, the opinion store on disk."""

import json

import pytest

from mmedagent.cases.store import write_cases
from mmedagent.evaluation.evaluate import evaluate
from mmedagent.evaluation.predictions import read_predictions
from mmedagent.evaluation.systems import Pair
from mmedagent.panel.store import OpinionStore
from mmedagent.recipes.evaluation import EvaluationRecipe
from mmedagent.recipes.panel import PanelRecipe
from tests.mmedagent.evidence import make_cases
from tests.mmedagent.service import tiny_models


@pytest.mark.slow
def test_pairs_on_disk_are_measured_through_the_served_panel(tmp_path):
    trained = tiny_models(tmp_path / "models")
    models = tmp_path / "models"
    write_cases(tmp_path / "data", "test", make_cases(3) + make_cases(2, "validation"))
    systems = {
        "start": Pair(models / "start-triage", models / "start-attending"),
        "challenger": Pair(models / "triage", models / "attending"),
    }
    recipe = EvaluationRecipe(samples=1, resamples=100, max_new_tokens=4)

    def run(out):
        return evaluate(
            tmp_path / "data",
            models / "panel",
            tmp_path / "opinions",
            systems,
            recipe,
            PanelRecipe(),
            out,
            tmp_path / "work",
        )

    result = run(tmp_path / "out")
    assert trained is not None and result["cases"] == read_predictions(tmp_path / "out")[1]["cases"]
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert set(metrics["systems"]) == {
        "challenger", "start", "champion", "panel_majority", "text_only", "options_permuted",
        "specialist:alder", "specialist:birch", "specialist:cedar",
    }  # fmt: skip
    kept = len(OpinionStore(tmp_path / "opinions"))
    assert kept > 0
    again = run(tmp_path / "again")
    assert again == result
    assert len(OpinionStore(tmp_path / "opinions")) == kept
