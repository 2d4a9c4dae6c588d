"""`mmedagent data review` and `label-noise`."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from mmedagent.cases.findings.reviews import read_reviews
from mmedagent.cli.data import app
from mmedagent.errors import BadDataError, UsageError

RUN = CliRunner()
ONE, TWO = "1" * 16, "2" * 16


def _finding(id_: str, kind: str) -> dict[str, Any]:
    return {
        "id": id_, "kind": kind, "policy": "stop", "says": "one image in two pools", "cases": 2,
        "case_ids": ["a", "b"], "images": [], "review": None,
    }  # fmt: skip


@pytest.fixture
def validation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a validation of the set `set` has left, in a repository of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    folder = tmp_path / "runs" / "validation"
    folder.mkdir(parents=True)
    stale = {"finding": "3" * 16, "kind": "drift", "cases": [], "who": "x", "why": "y"}
    findings = [_finding(ONE, "same_image"), _finding(TWO, "same_image")]
    content = {"data_set": "set", "findings": findings, "stale": [stale]}
    (folder / "findings.json").write_text(json.dumps(content))
    return folder


def _review(*arguments: str) -> Result:
    return RUN.invoke(app, ["review", *arguments])


def test_findings_are_listed(validation: Path) -> None:
    result = _review()
    assert result.exit_code == 0, result.output
    assert ONE in result.output and "same_image" in result.output and "stop" in result.output


def test_one_is_marked_and_others_stand(validation: Path) -> None:
    assert _review(ONE, "--reason", "As released.", "--who", "M. Example").exit_code == 0
    assert _review(TWO, "--reason", "Meant.", "--who", "N. Example").exit_code == 0
    assert _review(TWO, "--reason", "Said better.", "--who", "N. Example").exit_code == 0
    content = read_reviews(Path("data/reviews/set.yaml"))
    assert content.data_set == "set"
    said = {each.finding: (each.who, each.why) for each in content.reviews}
    assert said == {ONE: ("M. Example", "As released."), TWO: ("N. Example", "Said better.")}


def test_all_of_a_kind_and_stale_ones(validation: Path) -> None:
    result = _review("--all-of", "same_image", "--reason", "As released.")
    assert "2 findings marked" in result.output
    assert len(read_reviews(Path("data/reviews/set.yaml")).reviews) == 2
    path = Path("data/reviews/set.yaml")
    text = path.read_text() + "- finding: '3333333333333333'\n  kind: drift\n  who: x\n"
    path.write_text(text + "  when: 2026-05-04\n  why: y\n")
    assert "1 stale" in _review("--drop-stale").output
    assert len(read_reviews(path).reviews) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((ONE,), "add --reason"),
        (("4" * 16, "--reason", "x"), "no finding 4444"),
        (("--all-of", "horoscope", "--reason", "x"), "no kind of finding"),
        (("--validation", "nowhere"), "run `mmedagent data validate` first"),
    ],
)
def test_what_cannot_be_done_is_a_usage_error(
    validation: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = _review(*arguments)
    assert isinstance(result.exception, UsageError) and message in str(result.exception)
    assert not Path("data/reviews/set.yaml").exists()


def test_another_file_is_no_list_of_findings(validation: Path) -> None:
    (validation / "findings.json").write_text("[1]")
    result = _review()
    assert isinstance(result.exception, BadDataError) and "findings.json" in str(result.exception)


@pytest.mark.parametrize("command", ["validate", "review", "label-noise"])
def test_help_teaches_by_example(command: str) -> None:
    result = RUN.invoke(app, [command, "--help"])
    assert result.exit_code == 0 and f"mmedagent data {command}" in result.output
