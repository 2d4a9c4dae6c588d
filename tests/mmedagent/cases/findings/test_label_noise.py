"""Cases of which the whole panel says something else than gold."""

import json
from pathlib import Path

import pytest

from mmedagent.cases.case import Opinion
from mmedagent.cases.findings.label_noise import HINTS, PAGE, against_gold, label_noise
from mmedagent.cases.store import write_cases
from tests.mmedagent.cases.examples import data_set, example


def _said(*letters: str | None, role: str = "Radiologist") -> list[Opinion]:
    return [
        Opinion.model_validate(
            {"specialist": f"s{n}", "role": role, "letter": each, "reasoning": "", "raw": ""}
        )
        for n, each in enumerate(letters)
    ]


@pytest.mark.parametrize(
    ("letters", "role", "expected"),
    [
        (("B", "B", "B"), "Radiologist", "B"),
        (("A", "A", "A"), "Radiologist", None),
        (("B", "B", "A"), "Radiologist", None),
        (("B", "B", None), "Radiologist", None),
        ((None, None), "Radiologist", None),
        (("Z", "Z"), "Radiologist", None),
        (("B",), "Radiologist", None),
        (("B", "B", "B"), "Pathologist", None),
    ],
)
def test_unanimity_in_the_cases_own_specialty(
    letters: tuple[str | None, ...], role: str, expected: str | None
) -> None:
    assert against_gold(example(0), _said(*letters, role=role)) == expected


def test_the_page_shows_each_case(tmp_path: Path) -> None:
    write_cases(tmp_path / "data", "set", data_set())
    opinions = {
        "train-0": _said("B", "B", "B"),
        "train-2": _said("A", "A", "A"),
        "test-0": _said("B", "B"),
    }
    assert label_noise(tmp_path / "data", opinions, tmp_path / "out") == 2
    listed = json.loads((tmp_path / "out" / HINTS).read_text())
    assert listed["judged"] == 3 and listed["hints"] == 2
    assert [each["case_ids"] for each in listed["findings"]] == [["train-0"], ["test-0"]]
    page = (tmp_path / "out" / PAGE).read_text()
    assert page.count("data:image/jpeg;base64,") == 2 and "histology (panel)" in page
    assert "<script" not in page and "http" not in page
