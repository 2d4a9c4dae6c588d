import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmedagent.errors import BrokenEvidenceError, ExitCode
from mmedagent.evaluation.predictions import (
    GREEDY,
    answer_columns,
    expected_digest,
    write_predictions,
)
from mmedagent.gate.decide import decide, overall, read_verdict
from mmedagent.gate.policy import detectable_effect, outcome
from mmedagent.recipes.gate import GateRecipe
from tests.mmedagent.evidence import make_cases

RECIPE = GateRecipe(resamples=2000)


def build(tmp_path, cases, right, change=lambda rows: rows, **facts):
    """Write predictions in which `right[system]` says which cases (by number) are right."""
    rows = []
    for system, is_right in right.items():
        for number, case in enumerate(cases):
            wrong = next(x for x in case.view().letters if x != case.letter)
            letter = case.letter if is_right(number) else wrong
            rows.append({**answer_columns(case, letter), "system": system, "sample": GREEDY})
    known = {
        "pool": "test",
        "selection_pool": "validation",
        "cases_digest": expected_digest((c.case_id, c.letter) for c in cases),
    }
    path = tmp_path / "predictions.parquet"
    write_predictions(path, change(rows), {**known, **facts})
    return path


CASES = make_cases(200)
GOOD = {
    "challenger": lambda n: n % 10 < 8,
    "panel_majority": lambda n: n % 10 < 6,
    "champion": lambda n: n % 10 in (0, 1, 2, 3, 4, 5, 8),
}


def test_a_better_challenger_passes(tmp_path):
    path = build(tmp_path, CASES, GOOD)
    verdict = decide(path, RECIPE, tmp_path / "out", CASES)
    assert verdict.verdict == "pass"
    assert verdict.exit_code is ExitCode.OK
    stored = read_verdict(tmp_path / "out")
    assert stored == json.loads(json.dumps(verdict.to_dict()))
    superior, kept = stored["rows"]
    assert superior["difference"] == pytest.approx(0.2, abs=0.01)
    assert superior["lower"] > 0 and kept["margin"] == -0.05
    page = (tmp_path / "out/verdict.html").read_text()
    assert "may replace the champion" in page
    assert "http" not in page and "<script" not in page


def test_a_worse_challenger_fails_and_says_why(tmp_path):
    right = {**GOOD, "champion": lambda n: True}
    verdict = decide(build(tmp_path, CASES, right), RECIPE, tmp_path / "out")
    assert verdict.verdict == "fail"
    assert verdict.exit_code is ExitCode.FAIL
    assert [row.verdict for row in verdict.rows] == ["pass", "fail"]
    assert "speaks against the claim that it loses no more than 5.0 points" in verdict.reasons[1]


def test_an_interval_that_cannot_decide_is_underpowered(tmp_path):
    cases = make_cases(60)
    right = {**GOOD, "champion": lambda n: n % 2 == 0, "challenger": lambda n: n % 3 > 0}
    right["panel_majority"] = lambda n: n % 5 > 1
    verdict = decide(build(tmp_path, cases, right), RECIPE, tmp_path / "out")
    assert verdict.verdict == "underpowered"
    assert verdict.exit_code is ExitCode.UNDERPOWERED
    assert verdict.rows[0].detectable > RECIPE.effect_of_interest
    assert "more cases are needed" in verdict.reasons[0]


def test_a_sensitive_evaluation_that_sees_nothing_is_a_fail(tmp_path):
    right = {**GOOD, "panel_majority": GOOD["challenger"]}
    verdict = decide(build(tmp_path, CASES, right), RECIPE, tmp_path / "out")
    assert verdict.rows[0].verdict == "fail"
    assert verdict.rows[0].detectable == 0


def test_too_few_cases_decide_nothing_however_good(tmp_path):
    cases = make_cases(20)
    right = {**GOOD, "challenger": lambda n: True, "panel_majority": lambda n: False}
    verdict = decide(build(tmp_path, cases, right), RECIPE, tmp_path / "out")
    assert verdict.verdict == "underpowered"
    assert "too few to decide anything" in verdict.reasons[0]


def _drop(system):
    return lambda rows: [r for n, r in enumerate(rows) if n % 7 or r["system"] != system]


def _relabel(rows):
    return [{**r, "correct": True} if n == 9 else r for n, r in enumerate(rows)]


def _other_gold(rows):
    changed = {"gold_letter": "A", "letter": "A", "correct": True}
    return [{**r, **changed} if r["system"] == "challenger" else r for r in rows]


def _other_image(rows):
    return [{**r, "image_digest": "f" * 64} if n == 3 else r for n, r in enumerate(rows)]


def _trained_on(rows):
    return [{**r, "pool": "train"} for r in rows]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_drop("challenger"), "cases of challenger are not the cases that were measured"),
        (_drop("panel_majority"), "cases of panel_majority are not"),
        (
            lambda rows: [r for r in rows if r["system"] != "champion"],
            "no predictions of .*'champion'",
        ),
        (lambda rows: [*rows, rows[5]], "answers test-.* more than once"),
        (lambda rows: [*rows, {**rows[5], "case_id": "extra"}], "not the cases that were measured"),
        (_relabel, "is marked right, but its letter is"),
        (_other_gold, "another gold answer"),
        (_other_image, "differ in a case's image"),
        (_trained_on, "no greedy predictions on the measured pool"),
        (lambda rows: [], "holds no predictions"),
    ],
)
def test_broken_evidence_is_no_verdict(tmp_path, change, message):
    path = build(tmp_path, CASES, GOOD, change)
    with pytest.raises(BrokenEvidenceError, match=message) as caught:
        decide(path, RECIPE, tmp_path / "out")
    assert caught.value.exit_code == 12
    assert not (tmp_path / "out").exists()


def test_cases_dropped_from_every_system_are_noticed(tmp_path):
    fewer = build(tmp_path, CASES[:-5], GOOD)
    with pytest.raises(BrokenEvidenceError, match="come from other data"):
        decide(fewer, RECIPE, tmp_path / "out", CASES)


def test_figures_of_another_pool_are_no_evidence(tmp_path):
    path = build(tmp_path, make_cases(60, "validation"), GOOD, pool="validation")
    with pytest.raises(BrokenEvidenceError, match="measured on the pool 'validation'"):
        decide(path, RECIPE, tmp_path / "out")
    tuning = RECIPE.model_copy(update={"pool": "validation"})
    assert decide(path, tuning, tmp_path / "out").rows[0].n > 100


def test_missing_truncated_or_foreign_files_are_broken_evidence(tmp_path):
    with pytest.raises(BrokenEvidenceError, match="no predictions there"):
        decide(tmp_path, RECIPE, tmp_path / "out")
    path = build(tmp_path, CASES, GOOD)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(BrokenEvidenceError, match="not a readable Parquet file"):
        decide(path, RECIPE, tmp_path / "out")
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"system": ["challenger"]}), path)
    with pytest.raises(BrokenEvidenceError, match="columns missing: sample"):
        decide(path, RECIPE, tmp_path / "out")


def test_a_policy_that_compares_nothing_never_passes(tmp_path):
    empty = GateRecipe(superior_to=(), not_inferior_to=(), resamples=200)
    with pytest.raises(BrokenEvidenceError, match="compares with nothing"):
        decide(build(tmp_path, CASES, GOOD), empty, tmp_path / "out")


def test_an_altered_verdict_is_refused(tmp_path):
    right = {**GOOD, "champion": lambda n: True}
    decide(build(tmp_path, CASES, right), RECIPE, tmp_path / "out")
    file = tmp_path / "out/verdict.json"
    stored = json.loads(file.read_text())
    file.write_text(json.dumps({**stored, "verdict": "pass"}))
    with pytest.raises(BrokenEvidenceError, match="does not follow from its rows"):
        read_verdict(file)
    file.write_text("{")
    with pytest.raises(BrokenEvidenceError, match="no readable verdict"):
        read_verdict(file)
    with pytest.raises(BrokenEvidenceError, match="no readable verdict"):
        read_verdict(tmp_path / "nowhere")


@settings(max_examples=200, deadline=None)
@given(st.floats(-1, 1), st.floats(0, 1), st.floats(-0.5, 0.5), st.booleans(), st.booleans())
def test_an_outcome_passes_only_above_the_margin(lower, width, margin, insensitive, small):
    result = outcome(lower, lower + width, margin, insensitive, small)
    assert (result == "pass") == (lower > margin and not small)
    if result == "fail":
        assert not small and (lower + width <= margin or not insensitive)


@given(st.lists(st.sampled_from(["pass", "fail", "underpowered"]), min_size=1))
def test_the_worst_part_decides(outcomes):
    result = overall(outcomes)
    assert (result == "pass") == (set(outcomes) == {"pass"})
    assert (result == "fail") == ("fail" in outcomes)


def test_the_detectable_effect_is_the_textbooks():
    # z(0.975) + z(0.8) = 1.960 + 0.842
    assert detectable_effect(0.02, GateRecipe()) == pytest.approx(2.8016 * 0.02, rel=1e-3)
