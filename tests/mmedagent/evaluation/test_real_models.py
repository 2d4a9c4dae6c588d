"""The step itself: real tiny models, the panel served on loopback, the opinion store on disk."""

import json
from typing import get_args

import pytest

from mmedagent.cases.case import SPECIALTIES
from mmedagent.cases.store import write_cases
from mmedagent.evaluation.evaluate import evaluate
from mmedagent.evaluation.predictions import GREEDY, read_predictions
from mmedagent.evaluation.systems import Pair
from mmedagent.panel.store import OpinionStore
from mmedagent.recipes.baselines import TriageClassifierRecipe
from mmedagent.recipes.evaluation import Baseline, EvaluationRecipe
from mmedagent.recipes.panel import PanelRecipe
from mmedagent.recipes.training import SupervisedRecipe
from mmedagent.training.triage_classifier import fit_classifier
from tests.mmedagent.evidence import make_cases
from tests.mmedagent.service import tiny_models


@pytest.mark.slow
def test_pairs_and_baselines_on_disk_are_measured_through_the_served_panel(tmp_path):
    trained = tiny_models(tmp_path / "models")
    models = tmp_path / "models"
    cases = make_cases(3) + make_cases(2, "validation")
    write_cases(tmp_path / "data", "test", cases)
    taught = TriageClassifierRecipe(fit=SupervisedRecipe(steps=2, batch_size=2))
    classifier, _ = fit_classifier(cases[:4], models / "start-triage", taught)
    classifier.save(models / "classifier")
    systems = {
        "start": Pair(models / "start-triage", models / "start-attending"),
        "challenger": Pair(models / "triage", models / "attending"),
    }
    attending = {
        name: models / "start-attending"
        for name in (
            "easy_only",
            "easy_and_medium",
            "without_c_marl",
            "supervised_with_opinions",
            "supervised_without_opinions",
        )
    }
    triage = {
        "triage_classifier": models / "classifier",
        "triage_supervised": models / "start-triage",
    }
    names = get_args(Baseline)
    recipe = EvaluationRecipe(samples=1, resamples=100, max_new_tokens=4, votes=2, baselines=names)

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
            {**attending, **triage},
        )

    result = run(tmp_path / "out")
    table, facts = read_predictions(tmp_path / "out")
    assert trained is not None and result["cases"] == facts["cases"]
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert set(metrics["systems"]) == {
        "challenger", "start", "champion", "panel_majority", "text_only", "options_permuted",
        "specialist:alder", "specialist:birch", "specialist:cedar", *names,
    }  # fmt: skip
    # The attending without its RL, in every disguise, is one and the same doctor.
    greedy = table[table["sample"] == GREEDY].set_index(["system", "case_id"])
    for name in ("easy_only", "without_c_marl", "supervised_with_opinions"):
        assert greedy.loc[name]["raw"].equals(greedy.loc["no_attending_rl"]["raw"])
    routed = greedy.loc["triage_classifier"]
    assert set(routed["role"]) <= set(SPECIALTIES) and routed["triage_raw"].str.len().all()
    costs = {name: figures["cost"] for name, figures in metrics["systems"].items()}
    calls = {name: cost["specialist_calls"] for name, cost in costs.items()}
    assert (calls["challenger"], calls["all_specialties"], calls["self_vote"]) == (3, 21, 0)
    for name in ("challenger", "easy_only", "challenger_vote", "triage_classifier"):
        assert costs[name]["prompt_tokens"] > 0 and costs[name]["specialist_seconds"] > 0
    assert costs["self_vote"]["seconds"] > 0
    tokens = {name: cost["prompt_tokens"] for name, cost in costs.items()}
    assert tokens["challenger_vote"] > tokens["challenger"] > tokens["without_specialists"]
    kept = len(OpinionStore(tmp_path / "opinions"))
    assert kept > 0
    again = run(tmp_path / "again")
    assert again == result
    assert len(OpinionStore(tmp_path / "opinions")) == kept
