"""Bad images and bad questions become named problems, never a crash."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmedagent.cases.inspection import inspect, inspect_image
from mmedagent.recipes.data import ValidationRecipe
from tests.mmedagent.cases.examples import bomb, example, noise, row

RECIPE = ValidationRecipe()


def _gif() -> bytes:
    buffer = io.BytesIO()
    Image.new("P", (40, 40)).save(buffer, "GIF")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (None, "no image"),
        (b"", "no image"),
        (b"%PDF-1.7 something else", "not a whole"),
        (noise(1)[:-40], "not a whole"),
        (noise(1, 300, "JPEG")[:900], "not a whole"),
        (noise(1)[:60] + b"\0" * 40 + noise(1)[100:], "not a whole"),
        (bomb(), "decompression bomb|not decoded"),
        (bomb(3000, 3000), "3000x3000 pixels, more than"),
        (_gif(), "not a whole"),
    ],
)
def test_a_bad_image_is_a_named_problem(data: bytes | None, problem: str) -> None:
    import re

    facts = inspect_image(data, RECIPE)
    assert facts["image_problem"] is not None
    assert re.search(problem, facts["image_problem"])


def test_a_huge_file_is_refused_unopened() -> None:
    facts = inspect_image(noise(1) + b"\0" * 100, ValidationRecipe(max_bytes=1000))
    assert "more than 1000" in facts["image_problem"]
    assert facts["width"] is None


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_a_good_image_has_no_problem(format: str) -> None:
    facts = inspect_image(noise(1, 84, format), RECIPE)
    assert facts["image_problem"] is None
    assert (facts["width"], facts["height"], facts["pixels"]) == (84, 84, 84 * 84)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300), whole=st.booleans())
def test_no_bytes_crash_the_inspection(data: bytes, whole: bool) -> None:
    facts = inspect_image(data if whole else noise(2)[:50] + data, RECIPE)
    assert set(facts) == {"width", "height", "pixels", "image_bytes", "image_problem"}


def test_bad_questions_become_facts() -> None:
    case = example(0)
    rows = [
        row(case),
        row(case, options=[]),
        row(case, options=None),
        row(case, options=["CT", "CT"]),
        row(case, options=["CT", " "]),
        row(case, answer="ultrasound"),
        row(case, image=b"none"),
    ]
    found = inspect(rows, RECIPE)
    assert [record["options"] for record in found] == [2, 0, 0, 2, 2, 2, 2]
    assert [record["answer_is_option"] for record in found] == [
        True, False, False, True, True, False, True,
    ]  # fmt: skip
    assert [record["repeated_options"] for record in found].index(True) == 3
    assert [record["blank_options"] for record in found].index(True) == 4
    assert [record["letter"] for record in found][:2] == ["A", None]
    assert found[-1]["image_problem"] is not None
