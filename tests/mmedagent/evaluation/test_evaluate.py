import json

import pytest

from mmedagent.atomic import new_folder
from mmedagent.errors import BadDataError, UsageError
from mmedagent.evaluation.evaluate import measure, publish
from mmedagent.evaluation.predictions import read_predictions
from mmedagent.recipes.evaluation import EvaluationRecipe
from tests.mmedagent.evidence import KnownPanel, known_system, make_cases

RECIPE = EvaluationRecipe(samples=2, batch_size=50, resamples=500, baselines=())


@pytest.fixture(scope="module")
def cases():
    return make_cases(90) + make_cases(60, "validation")


@pytest.fixture(scope="module")
def systems(cases):
    return {
        "start": known_system(cases, "start", 0.6, 0.5),
        "challenger": known_system(cases, "challenger", 0.9, 0.8),
    }


@pytest.fixture(scope="module")
def evaluated(cases, systems, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    rows = measure(cases, systems, KnownPanel(cases), RECIPE, folder / "work", {"data": "d"})
    result = publish(rows, RECIPE, folder / "out")
    return folder, rows, result


def test_every_system_answers_every_case_once(evaluated, cases):
    _, rows, _ = evaluated
    expected = {case.case_id for case in cases if case.pool == "test"}
    keys = [(row["system"], row["case_id"], row["sample"]) for row in rows]
    assert len(keys) == len(set(keys))
    for system in (
        "start",
        "champion",
        "challenger",
        "panel_majority",
        "specialist:left",
        "text_only",
        "options_permuted",
    ):
        greedy = {r["case_id"] for r in rows if r["system"] == system and r["sample"] == -1}
        assert greedy == expected, system
    assert {r["sample"] for r in rows if r["system"] == "start"} == {-1, 0, 1}
    assert all(row["tier"] in ("easy", "medium", "hard") for row in rows)


def test_metrics_recover_the_known_skills(evaluated):
    folder, _, result = evaluated
    metrics = json.loads((folder / "out/metrics.json").read_text())
    challenger = metrics["systems"]["challenger"]
    # wrong draws hit by chance: 0.8 + 0.2 * about 0.25 for options, 0.9 + 0.1 / 7 for triage
    assert challenger["accuracy"]["value"] == pytest.approx(0.85, abs=0.07)
    assert challenger["triage"]["accuracy"]["value"] == pytest.approx(0.914, abs=0.06)
    assert challenger["sampled"]["value"] < challenger["accuracy"]["value"] - 0.05
    assert challenger["sampled"]["n"] == 2 * challenger["cases"]
    assert metrics["best_specialist"]["name"] == "left"
    assert metrics["best_specialist"]["chosen_on"] == "validation"
    effect = metrics["panel"]["role_effect"]
    assert effect["difference"]["value"] > 0.08
    assert effect["right"]["value"] > effect["wrong"]["value"]
    assert metrics["systems"]["text_only"]["triage"]["accuracy"]["value"] < 0.4
    assert metrics["systems"]["champion"]["accuracy"] == metrics["systems"]["start"]["accuracy"]
    assert result["challenger"] == challenger["accuracy"]["value"]
    tiers = challenger["tier"]
    assert set(tiers) == {"easy", "medium", "hard"}
    assert sum(tiers[t]["n"] for t in tiers) == challenger["cases"]
    majority = metrics["systems"]["panel_majority"]
    assert majority["tier"]["easy"]["value"] == 1
    assert majority["tier"]["hard"]["value"] == 0
    assert majority["triage"] is None


def test_a_small_specialty_carries_no_bar(evaluated):
    folder, rows, _ = evaluated
    metrics = json.loads((folder / "out/metrics.json").read_text())
    images = metrics["groups"]["specialty"]
    shown = metrics["systems"]["challenger"]["specialty"]
    assert shown["Radiologist"]["carries_bar"] is True
    assert images["Dermatologist"]["images"] < 20
    assert shown["Dermatologist"]["carries_bar"] is False
    assert (
        metrics["systems"]["challenger"]["triage"]["specialty"]["Dermatologist"]["carries_bar"]
        is False
    )


def test_the_confusion_matrix_counts_every_case(evaluated):
    folder, rows, _ = evaluated
    metrics = json.loads((folder / "out/metrics.json").read_text())
    matrix = metrics["systems"]["challenger"]["triage"]["confusion"]
    assert sum(map(sum, matrix["counts"])) == metrics["cases"]
    right = sum(
        matrix["counts"][n][matrix["chosen"].index(gold)] for n, gold in enumerate(matrix["gold"])
    )
    accuracy = metrics["systems"]["challenger"]["triage"]["accuracy"]["value"]
    assert right / metrics["cases"] == pytest.approx(accuracy)


def test_figures_come_from_the_predictions_alone(evaluated):
    from mmedagent.evaluation.metrics import compute_metrics

    folder, _, _ = evaluated
    again = compute_metrics(folder / "out/predictions.parquet", RECIPE)
    assert again == json.loads((folder / "out/metrics.json").read_text())
    table, facts = read_predictions(folder / "out")
    assert facts["cases"] == again["cases"] == table[table["pool"] == "test"].case_id.nunique()


def test_a_killed_evaluation_goes_on_with_the_next_system(cases, systems, tmp_path):
    class Dies(KnownPanel):
        def opinions(self, questions, roles):
            if self.asked > 400:
                raise KeyboardInterrupt
            return super().opinions(questions, roles)

    with pytest.raises(KeyboardInterrupt):
        measure(cases, systems, Dies(cases), RECIPE, tmp_path / "work", {})
    assert list((tmp_path / "work").glob("rows-*"))
    first = KnownPanel(cases)
    rows = measure(cases, systems, first, RECIPE, tmp_path / "work", {})
    fresh = KnownPanel(cases)
    expected = measure(cases, systems, fresh, RECIPE, tmp_path / "other", {})

    def strip(rows):
        return [{k: v for k, v in row.items() if k not in ("seconds", "cost")} for row in rows]

    assert first.asked < fresh.asked
    assert strip(rows) == strip(expected)
    silent = KnownPanel(cases)
    measure(cases, systems, silent, RECIPE, tmp_path / "work", {})
    assert silent.asked == 0
    measure(cases, systems, silent, RECIPE, tmp_path / "work", {"data": "another"})
    assert silent.asked == fresh.asked


def test_refuses_an_empty_pool_or_no_challenger(cases, systems, tmp_path):
    only_test = [case for case in cases if case.pool == "test"]
    with pytest.raises(BadDataError, match="'validation' is empty"):
        measure(only_test, systems, KnownPanel(cases), RECIPE, tmp_path, {})
    with pytest.raises(UsageError, match="challenger"):
        measure(cases, {"start": systems["start"]}, KnownPanel(cases), RECIPE, tmp_path, {})


def test_the_selection_pool_may_be_measured_while_tuning(cases, systems, tmp_path):
    recipe = RECIPE.model_copy(update={"pool": "validation"})
    rows = measure(cases, systems, KnownPanel(cases), recipe, tmp_path / "work", {})
    publish(rows, recipe, tmp_path / "out")
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert metrics["cases"] == sum(case.pool == "validation" for case in cases)
    assert not any("role" in system for system in metrics["systems"])


def test_nothing_is_published_when_the_figures_fail(evaluated, tmp_path):
    _, rows, _ = evaluated
    with new_folder(tmp_path / "out") as folder:
        (folder / "old").write_text("stands")
    from mmedagent.errors import BrokenEvidenceError

    with pytest.raises(BrokenEvidenceError, match="'champion'"):
        publish([r for r in rows if r["system"] != "champion"], RECIPE, tmp_path / "out")
    assert (tmp_path / "out/old").read_text() == "stands"
