"""Each source has its own rules; findings stop, warn or are reviewed; a run can be compared."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mmedagent.cases.case import Case, Pool
from mmedagent.cases.expectations import known_modalities, required_pools
from mmedagent.cases.findings.reviews import Review, ReviewFile, write_reviews
from mmedagent.cases.source_rules import RULES, STARTER, suite_of
from mmedagent.cases.sources.registry import SOURCES
from mmedagent.cases.store import write_cases, write_rows
from mmedagent.cases.validation import validate
from mmedagent.errors import BadDataError
from mmedagent.recipes.data import ValidationRecipe
from tests.mmedagent.cases.examples import RECIPE, data_set, example, row


def _benchmark(source: str, pools: tuple[Pool, ...], **changes: Any) -> list[Case]:
    return [
        example(number, pool, source=source, attributes={"language": "en"}, **changes)
        for pool in pools
        for number in range(4)
    ]


def _failed(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (one["suite"], one["column"], one["severity"])
        for one in result["results"]
        if not one["success"]
    ]


def test_every_adapter_has_rules() -> None:
    assert {name for name in SOURCES if name not in ("sets",)} <= set(RULES)
    assert suite_of("slake") == "slake"
    assert suite_of("some package") == suite_of(None) == STARTER


def test_which_pools_and_modalities_are_asked_for() -> None:
    assert required_pools(RECIPE, [STARTER]) == sorted(RECIPE.pools)
    assert required_pools(RECIPE, ["vqa-rad"]) == ["test", "train"]
    assert required_pools(RECIPE, ["vqa-rad", "slake"]) == ["test", "train", "validation"]
    assert "OCT" not in known_modalities(RECIPE, [STARTER])
    assert "OCT" in known_modalities(RECIPE, ["own"])


def test_a_benchmark_needs_no_panel_pool_and_may_be_unbalanced(tmp_path: Path) -> None:
    cases = _benchmark("vqa-rad", ("train", "test"))
    cases += [example(n, "train", source="vqa-rad", question_type="taste") for n in (10, 12, 14)]
    open_ones = _benchmark(
        "slake", ("train", "validation", "test"), options=(), answer_type="open", answer="two"
    )
    write_cases(tmp_path / "data", "set", [*cases, *_renamed(open_ones)])
    result = validate(tmp_path / "data", RECIPE, tmp_path / "out")
    assert result["sources"] == ["vqa-rad", "slake"]
    assert _failed(result) == [("vqa-rad", "question_type", "warn")]
    found = json.loads((tmp_path / "out" / "findings.json").read_text())["findings"]
    assert {(one["kind"], one["policy"]) for one in found} >= {("answer_share", "warn")}
    page = (tmp_path / "out" / "index.html").read_text()
    assert "VQA-RAD" in page and "SLAKE" in page and "taste" in page
    for elsewhere in ('src="http', "url(http", "<script", "<link", "@import"):
        assert elsewhere not in page
        assert elsewhere not in (tmp_path / "out" / "findings.html").read_text()


def _renamed(cases: list[Case]) -> list[Case]:
    """The same with ids, subjects and images of their own."""
    from tests.mmedagent.cases.examples import noise

    return [
        case.model_copy(
            update={"case_id": f"o-{n}", "subject": f"o-{n}", "images": (noise(9000 + n),)}
        )
        for n, case in enumerate(cases)
    ]


def test_what_a_source_may_not_have_stops(tmp_path: Path) -> None:
    rows = [row(case) for case in _benchmark("omni-med-vqa", ("train", "test"))]
    rows[0]["options"] = ["CT", "histology", "a", "b", "c"]
    rows[1] |= {"answer_type": "open", "options": ["CT", "histology"]}
    rows[2]["question"] = "x" * 5000
    rows[3]["images"] = rows[3]["images"] + rows[4]["images"]
    write_rows(tmp_path / "data", "set", rows)
    with pytest.raises(BadDataError) as raised:
        validate(tmp_path / "data", RECIPE, tmp_path / "out")
    result = json.loads((tmp_path / "out" / "validation.json").read_text())
    stopping = {
        (suite, column) for suite, column, severity in _failed(result) if severity == "stop"
    }
    assert stopping == {
        ("all sources", "open_options"),
        ("all sources", "question_chars"),
        ("all sources", "same_image_as"),
        ("omni-med-vqa", "options"),
        ("omni-med-vqa", "images"),
    }
    assert "x" * 50 not in str(raised.value)


def test_a_reviewed_finding_no_longer_stops(tmp_path: Path) -> None:
    cases = data_set()
    cases[0] = cases[0].model_copy(update={"subject": cases[-1].subject})
    write_cases(tmp_path / "data", "set", cases)
    with pytest.raises(BadDataError, match="column subject_also_in: (.|\n)*data review FINDING"):
        validate(tmp_path / "data", RECIPE, tmp_path / "out")
    [found] = json.loads((tmp_path / "out" / "findings.json").read_text())["findings"]
    file = tmp_path / "set.yaml"
    known = {"kind": "subject_in_pools", "who": "A", "when": date(2026, 5, 4), "why": "only one"}
    reviews = tuple(
        Review.model_validate(known | {"finding": each}) for each in (found["id"], "0" * 16)
    )
    write_reviews(file, ReviewFile(data_set="set", reviews=reviews))
    told: list[int] = []

    def tell(phase: str, done: int, total: int | None) -> None:
        if phase == "inspecting cases":
            told.append(done)

    result = validate(tmp_path / "data", RECIPE, tmp_path / "out", reviews=file, tell=tell)
    assert told == [20]  # nothing was inspected again
    assert result["findings"] == {"subject_in_pools": {"stop": 0, "warn": 0, "reviewed": 1}}
    assert [each["finding"] for each in result["stale_reviews"]] == ["0" * 16]
    page = (tmp_path / "out" / "findings.html").read_text()
    assert "only one" in page and "Stale reviews" in page and "data:image/jpeg" in page


@pytest.mark.parametrize("policy", ["warn", "stop"])
def test_drift_warns_or_stops_by_recipe(tmp_path: Path, policy: str) -> None:
    write_cases(tmp_path / "before", "set", data_set(each=20))
    moved = [
        example(2 * number, pool, case_id=f"new-{pool}-{number}", subject=f"new-{pool}-{number}")
        for pool in ("panel", "warm_start", "validation", "test")
        for number in range(20)
    ]
    write_cases(tmp_path / "data", "set", [*data_set(each=4), *_shifted(moved)])
    recipe = ValidationRecipe.model_validate(
        {"max_imbalance": 2, "max_answer_share": 0.9, "policy": {"drift": policy}}
    )
    out = tmp_path / "out"
    if policy == "stop":
        with pytest.raises(BadDataError, match="finding .*, drift: answers to modality: total"):
            validate(tmp_path / "data", recipe, out, before=tmp_path / "before")
    else:
        result = validate(tmp_path / "data", recipe, out, before=tmp_path / "before")
        assert result["drift_judged"] and result["findings"]["drift"]["warn"] >= 1


def _shifted(cases: list[Case]) -> list[Case]:
    from tests.mmedagent.cases.examples import noise

    return [
        case.model_copy(update={"images": (noise(20_000 + n),)}) for n, case in enumerate(cases)
    ]
