"""What must not reach training stops the run, with its rows and columns named."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmedagent.cases.store import write_cases
from mmedagent.cases.validation import validate
from mmedagent.errors import BadDataError, ExitCode
from tests.mmedagent.cases.examples import RECIPE, bomb, broken, data_set, noise


def _named(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(row for row in rows if row["case_id"] == name)


def test_good_cases_pass_with_their_evidence(tmp_path: Path) -> None:
    manifest = write_cases(tmp_path / "data", "set", data_set())
    result = validate(tmp_path / "data", RECIPE, tmp_path / "out")
    assert result["success"] and result["cases"] == 20
    assert result["data_digest"] == manifest["digest"]
    assert json.loads((tmp_path / "out" / "validation.json").read_text()) == result
    page = (tmp_path / "out" / "index.html").read_text()
    assert "answer_is_option" in page and "</html>" in page
    for elsewhere in ('src="http', 'rel="stylesheet"', "<script", "url('http"):
        assert elsewhere not in page


def _change(rows: list[dict[str, Any]]) -> None:
    _named(rows, "train-0")["options"] = []
    _named(rows, "train-1")["answer"] = "ultrasound"
    _named(rows, "train-2")["specialty"] = "Astrologer"
    _named(rows, "panel-0")["images"] = [{"bytes": noise(1)[:-30], "path": ""}]
    _named(rows, "panel-1")["images"] = [{"bytes": b"no image at all", "path": ""}]
    _named(rows, "panel-2")["images"] = [{"bytes": bomb(3000, 3000), "path": ""}]
    _named(rows, "panel-3")["images"] = [{"bytes": noise(77, 16), "path": ""}]
    _named(rows, "test-1")["case_id"] = "test-0"
    _named(rows, "test-2")["images"] = [{"bytes": noise(5, 84), "path": ""}]
    _named(rows, "validation-2")["images"] = [{"bytes": noise(5, 84), "path": ""}]
    _named(rows, "test-3")["images"] = [{"bytes": noise(6, 84, "JPEG"), "path": ""}]
    _named(rows, "validation-3")["images"] = [{"bytes": noise(6, 84), "path": ""}]
    _named(rows, "warm_start-1")["question"] = " "
    _named(rows, "warm_start-2")["modality"] = "horoscope"


EXPECTED = [
    ("options", ["train-0"]),
    ("answer_is_option", ["train-0", "train-1"]),
    ("specialty", ["train-2"]),
    ("image_problem", ["panel-0", "panel-1", "panel-2"]),
    ("width", ["panel-3"]),
    ("pixels", ["panel-2"]),
    ("case_id", ["test-0", "test-0"]),
    ("same_image_as", ["test-2", "validation-2"]),
    ("similar_image_to", ["test-3", "validation-3"]),
    ("question", ["warm_start-1"]),
    ("modality", ["warm_start-2"]),
]


@pytest.fixture(scope="module")
def failure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BadDataError, Path]]:
    """One data set with everything wrong in its own row, validated once."""
    folder = tmp_path_factory.mktemp("validation")
    with pytest.raises(BadDataError) as raised:
        validate(broken(folder / "data", _change), RECIPE, folder / "out")
    yield raised.value, folder / "out"


def test_it_is_bad_data(failure: tuple[BadDataError, Path]) -> None:
    assert failure[0].exit_code == ExitCode.BAD_DATA == 13
    assert "must not be trained on" in str(failure[0])


@pytest.mark.parametrize(("column", "cases"), EXPECTED, ids=[column for column, _ in EXPECTED])
def test_a_failed_expectation_names_its_column_and_rows(
    failure: tuple[BadDataError, Path], column: str, cases: list[str]
) -> None:
    message, out = str(failure[0]), failure[1]
    results = json.loads((out / "validation.json").read_text())["results"]
    failed = [result for result in results if not result["success"]]
    rows = [case for result in failed if result["column"] == column for case, _ in result["rows"]]
    assert sorted(rows) == cases
    assert f"column {column}: " in message
    assert f"case {cases[0]}: " in message


def test_nothing_else_fails(failure: tuple[BadDataError, Path]) -> None:
    results = json.loads((failure[1] / "validation.json").read_text())["results"]
    failed = {result["column"] for result in results if not result["success"]}
    # The row with the unknown specialty is a specialty of its own and thereby a rare one.
    assert failed - {column for column, _ in EXPECTED} <= {"imbalance", "height", "answer_share"}
    assert not [result for result in results if result["error"]]


def test_an_empty_pool_is_named(tmp_path: Path) -> None:
    def empty(rows: list[dict[str, Any]]) -> None:
        rows[:] = [row for row in rows if row["pool"] != "validation"]

    with pytest.raises(BadDataError, match="column pool: .*validation"):
        validate(broken(tmp_path / "data", empty), RECIPE, tmp_path / "out")


def test_a_rare_specialty_is_named(tmp_path: Path) -> None:
    def starve(rows: list[dict[str, Any]]) -> None:
        _named(rows, "train-1")["specialty"] = "Radiologist"

    with pytest.raises(BadDataError, match="column imbalance: (.|\n)*case train-3: 3.0"):
        validate(broken(tmp_path / "data", starve), RECIPE, tmp_path / "out")


def test_an_answer_that_is_always_right_is_named(tmp_path: Path) -> None:
    def always(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["answer"] = "CT"

    with pytest.raises(BadDataError, match="column answer_share: "):
        validate(broken(tmp_path / "data", always), RECIPE, tmp_path / "out")


def test_what_is_no_data_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(BadDataError, match="no data version"):
        validate(tmp_path / "data", RECIPE, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_stands_in_the_data_does_not_run_in_the_page(tmp_path: Path) -> None:
    def hostile(rows: list[dict[str, Any]]) -> None:
        _named(rows, "train-1")["specialty"] = "<svg onload=alert(1)>"
        _named(rows, "train-2")["modality"] = "<script>alert(2)"

    with pytest.raises(BadDataError, match="onload"):
        validate(broken(tmp_path / "data", hostile), RECIPE, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "<svg" not in page and "<script" not in page and "&lt;script&gt;alert(2)" in page
    assert 'id="suite-1"' in page
