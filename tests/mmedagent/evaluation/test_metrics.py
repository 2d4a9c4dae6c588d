import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmedagent.errors import BrokenEvidenceError
from mmedagent.evaluation.metrics import compute_metrics
from mmedagent.evaluation.predictions import (
    GREEDY,
    answer_columns,
    expected_digest,
    opinions_json,
    opinions_of,
    read_predictions,
    write_predictions,
)
from mmedagent.recipes.evaluation import EvaluationRecipe
from tests.mmedagent.evidence import make_cases

CASES, OTHERS = make_cases(12), make_cases(4, "validation")
PAIRS = ("challenger", "start", "champion")
RECIPE = EvaluationRecipe(resamples=100)


def rows_of(letters, specialties):
    """Rows in which each system's letter on a case is drawn from `letters`, None included."""
    draw = iter(letters)
    rows = []
    for system in (*PAIRS, "panel_majority", "specialist:left"):
        for number, case in enumerate(CASES):
            row = {**answer_columns(case, next(draw)), "system": system, "sample": GREEDY}
            row["tier"] = ("easy", "medium", "hard")[number % 3]
            if system in PAIRS:
                chosen = specialties[number % len(specialties)]
                row["chosen_specialty"] = chosen
                row["triage_correct"] = chosen == case.specialty
            rows.append(row)
    for case in OTHERS:
        rows.append({**answer_columns(case, "A"), "system": "right_role:left", "sample": GREEDY})
    return rows


def write(path, rows):
    facts = {
        "pool": "test",
        "selection_pool": "validation",
        "cases_digest": expected_digest((c.case_id, c.letter) for c in CASES),
    }
    write_predictions(path, rows, facts)
    return path


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_every_accuracy_is_the_share_of_right_letters(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("metrics") / "predictions.parquet"
    count = 5 * len(CASES)
    letters = data.draw(
        st.lists(st.sampled_from([None, "A", "B", "C", "D", "E"]), min_size=count, max_size=count)
    )
    named = data.draw(
        st.lists(st.sampled_from([None, "Radiologist", "Surgeon"]), min_size=1, max_size=5)
    )
    rows = rows_of(letters, named)
    metrics = compute_metrics(write(path, rows), RECIPE)
    for system, figures in metrics["systems"].items():
        own = [row for row in rows if row["system"] == system]
        right = [row["letter"] == row["gold_letter"] for row in own]
        assert figures["accuracy"]["value"] == pytest.approx(sum(right) / len(own))
        assert figures["answered"] == sum(row["letter"] is not None for row in own) / len(own)
        for tier, figure in figures["tier"].items():
            part = [row["correct"] for row in own if row["tier"] == tier]
            assert figure["value"] == pytest.approx(sum(part) / len(part))
        assert figures["accuracy"]["lower"] <= figures["accuracy"]["upper"]
    triage = metrics["systems"]["start"]["triage"]
    counted = {
        (gold, chosen): triage["confusion"]["counts"][i][j]
        for i, gold in enumerate(triage["confusion"]["gold"])
        for j, chosen in enumerate(triage["confusion"]["chosen"])
    }
    for number, case in enumerate(CASES):
        chosen = named[number % len(named)] or "none"
        counted[case.specialty, chosen] -= 1
    assert set(counted.values()) == {0}
    difference = metrics["differences"]["start"]["accuracy"]["value"]
    values = [metrics["systems"][s]["accuracy"]["value"] for s in ("challenger", "start")]
    assert difference == pytest.approx(values[0] - values[1])

    random.Random(0).shuffle(rows)
    shuffled = compute_metrics(write(path, rows), RECIPE)
    assert shuffled["systems"]["start"]["accuracy"] == metrics["systems"]["start"]["accuracy"]


def test_a_system_that_is_missing_is_broken_evidence(tmp_path):
    rows = rows_of(["A"] * 5 * len(CASES), ["Surgeon"])
    path = tmp_path / "predictions.parquet"
    for system in ("challenger", "panel_majority"):
        write(path, [row for row in rows if row["system"] != system])
        with pytest.raises(BrokenEvidenceError, match=f"'{system}'"):
            compute_metrics(path, RECIPE)
    write(path, [row for row in rows if row["pool"] == "test"])
    with pytest.raises(BrokenEvidenceError, match="selection pool"):
        compute_metrics(path, RECIPE)


def test_clusters_by_subject_are_fewer_and_wider(tmp_path):
    letters = [case.letter if n % 2 else None for n, case in enumerate(CASES)] * 5
    path = write(tmp_path / "predictions.parquet", rows_of(letters, ["Surgeon"]))
    by_image = compute_metrics(path, RECIPE)["systems"]["start"]["accuracy"]
    by_subject = compute_metrics(path, RECIPE.model_copy(update={"cluster": "subject"}))
    by_subject = by_subject["systems"]["start"]["accuracy"]
    assert by_subject["clusters"] == len({case.subject for case in CASES}) < by_image["clusters"]
    assert by_subject["value"] == by_image["value"]


@given(st.text(min_size=1), st.sampled_from([None, "A"]))
def test_opinions_survive_the_table(text, letter):
    from mmedagent.cases.case import Opinion

    said = (Opinion(specialist="a", role="Surgeon", letter=letter, reasoning=text, raw=text),)
    assert opinions_of(opinions_json(said)) == said


def test_a_table_without_its_facts_is_refused(tmp_path):
    import pyarrow.parquet as pq

    path = write(tmp_path / "predictions.parquet", rows_of(["A"] * 5 * len(CASES), ["Surgeon"]))
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)
    with pytest.raises(BrokenEvidenceError, match="does not say which cases"):
        read_predictions(path)
