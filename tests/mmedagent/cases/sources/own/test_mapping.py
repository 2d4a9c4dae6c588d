"""The mapping file: what is missing is said field by field, nothing has a guessed value."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mmedagent.cases.sources.own.mapping import Mapping, read_mapping, write_text
from mmedagent.errors import ExitCode, UsageError
from tests.mmedagent.cases.sources.own.hospital import mapping

NEEDED = [
    "table",
    "images",
    "question",
    "answer",
    "answer_type",
    "question_type",
    "modality",
    "language",
    "subject",
    "split",
]


def refusal(path: Path, text: str) -> str:
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError) as caught:
        read_mapping(path)
    assert caught.value.exit_code == ExitCode.USAGE == 2
    return str(caught.value)


@pytest.mark.parametrize("field", NEEDED)
def test_every_needed_field_is_asked_for(field: str, tmp_path: Path) -> None:
    message = refusal(tmp_path / "m.yaml", yaml.safe_dump(mapping(**{field: None})))
    assert f"m.yaml: {field}: missing: nothing is guessed" in message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"questoin": "q"}, "questoin: no field of a mapping"),
        ({"table": {"path": "a.csv", "format": "csv"}}, "table: a CSV needs both, as in"),
        (
            {"table": {"path": "a.jsonl", "format": "jsonl", "delimiter": ","}},
            "table: `encoding` and `delimiter` are for a CSV alone",
        ),
        (
            {"table": {"path": "a", "format": "csv", "encoding": "klingon", "delimiter": ","}},
            "table.encoding: no text encoding that Python knows",
        ),
        (
            {"table": {"path": "a", "format": "csv", "encoding": "rot13", "delimiter": ","}},
            "table.encoding: no text encoding that Python knows",
        ),
        ({"images": {"columns": ["a", "b"], "list": "json"}}, "images: `list` is for one column"),
        ({"images": {"columns": ["a"], "list": "xml"}}, "images: `list` is json, python, native"),
        ({"images": {"columns": []}}, "images.columns: "),
        ({"answer_type": {"value": "multiple"}}, "answer_type.value: "),
        ({"answer_type": {}}, "answer_type: give exactly one of `column` and `value`"),
        ({"question_type": {"column": "a", "value": "b"}}, "question_type: give exactly one of"),
        ({"question_type": {"value": "b", "values": {"a": "b"}}}, "`values` translates a column"),
        ({"modality": {}}, "modality: give exactly one of `column`, `value` and `dicom_header"),
        ({"modality": {"dicom_header": False}}, "modality.dicom_header: "),
        ({"split": {"column": "s"}}, "split: `column` and `values` go together"),
        ({"split": {"by_subject": {"train": 0.8}}}, "split: the shares of `by_subject` must add"),
        ({"split": {}}, "split: give exactly one of `column` (with `values`) and `by_subject`"),
        ({"split": {"column": "s", "values": {"a": "panel"}}}, "split.values.a: "),
        ({"options": None, "answer": {"column": "a", "given_as": "letter"}}, "needs `options`"),
        ({"answer": {"column": "a"}}, "answer.given_as: missing: nothing is guessed"),
        ({"view": {"frame": {"column": "f"}}}, "view.frame.first: missing"),
        ({"view": {"window": {"centre": {"value": 40}}}}, "view.window.width: missing"),
        ({"attributes": {"language": "l"}}, "attributes: `language` has a field of its own"),
        ({"attributes": {"Body Region": "r"}}, "attributes.Body Region.[key]: "),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    assert said in refusal(tmp_path / "m.yaml", yaml.safe_dump(mapping(**changes)))


def test_yaml_that_is_none_or_says_a_thing_twice(tmp_path: Path) -> None:
    assert "is no YAML in UTF-8" in refusal(tmp_path / "m.yaml", "a: [")
    twice = yaml.safe_dump(mapping()) + "subject: other\n"
    assert "a key is given twice" in refusal(tmp_path / "m.yaml", twice)
    assert "m.yaml: " in refusal(tmp_path / "m.yaml", "[]")


def test_a_mapping_survives_being_written(tmp_path: Path) -> None:
    view = {
        "frame": {"column": "slice", "first": 0},
        "axis": {"value": "axial"},
        "window": {"centre": {"value": 40.0}, "width": {"column": "width"}},
    }
    whole = Mapping.model_validate(
        mapping(
            view=view,
            id="key",
            attributes={"sex": "geschlecht"},
            split={"by_subject": {"train": 0.75, "test": 0.25}},
        )
    )
    path = tmp_path / "m.yaml"
    path.write_text(write_text(whole), "utf-8")
    assert read_mapping(path) == whole


def test_every_mapped_column_is_read_once() -> None:
    view = {
        "frame": {"column": "slice", "first": 0},
        "axis": {"column": "plane"},
        "window": {"centre": {"column": "centre"}, "width": {"column": "width"}},
    }
    whole = Mapping.model_validate(
        mapping(view=view, id="key", attributes={"sex": "sex"}, language={"column": "language"})
    )
    expected = ["image", "question", "patient", "key", "answer", "type", "modality", "language"]
    expected += ["split", "slice", "plane", "centre", "width", "a", "b", "sex"]
    assert list(whole.columns()) == expected


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner) | st.dictionaries(st.sampled_from(NEEDED) | st.text(), inner)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), nested, max_leaves=8))
def test_any_yaml_is_a_mapping_or_a_message(value: Any) -> None:
    from pydantic import ValidationError

    from mmedagent.cases.sources.own.mapping import explain

    with pytest.raises(ValidationError) as caught:
        Mapping.model_validate(value)
    assert explain(caught.value)


def test_the_pages_example_has_every_field_and_is_a_mapping(tmp_path: Path) -> None:
    page = (Path(__file__).parents[5] / "docs" / "own-cases.md").read_text("utf-8")
    [example] = re.findall(r"```yaml\n(.*?)```", page, re.S)
    path = tmp_path / "m.yaml"
    path.write_text(example, "utf-8")
    found = read_mapping(path)
    assert set(found.model_dump(exclude_unset=True)) == set(Mapping.model_fields)
    assert set(found.view.model_dump(exclude_unset=True)) == {"frame", "axis", "window"}
    assert found.split.column == "split" and found.images.columns == ("file", "prior")
