"""`mmedagent data add|merge|list|show|diff|pull` on the command line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmedagent.cases.store import write_cases
from mmedagent.cli.data import app
from mmedagent.errors import BadDataError, UsageError
from tests.mmedagent.cases.examples import data_set, example
from tests.mmedagent.cases.sets.repository import commit, make_repository
from tests.mmedagent.cases.sources.releases import vqa_rad, zipped

RUN = CliRunner()


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_cases(tmp_path / "one", "set", data_set())
    changed = [example(n, "test", question="Is it so?") for n in range(4)]
    write_cases(tmp_path / "two", "set", [*changed, example(50)])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", ["add", "merge", "list", "show", "diff", "pull"])
def test_help_teaches_by_example(command: str) -> None:
    result = RUN.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"mmedagent data {command}" in result.output


def test_diff_says_what_changed_and_writes_the_page(two: Path) -> None:
    result = RUN.invoke(app, ["diff", "one", "two", "--out", "page/diff.html"])
    assert result.exit_code == 0, result.output
    assert "From one to two: 1 case came, 16 went and 4 changed." in result.output
    assert "changed  question 4" in result.output
    assert "Is it so" not in result.output
    assert (two / "page/diff.html").read_text().startswith("<!doctype html>")


def test_diff_as_json_is_json_alone(two: Path) -> None:
    result = RUN.invoke(app, ["diff", "one", "two", "--json", "--no-images"])
    found = json.loads(result.stdout)
    assert found["cases"]["changed"] == {"question": 4}
    assert found["cases"]["ids"]["came"] == ["train-50"]
    assert "longer side of images" not in {d["name"] for d in found["distributions"]}
    assert "Is it so" not in result.stdout


def test_show_counts_images_subjects_and_questions(two: Path) -> None:
    result = RUN.invoke(app, ["show", "one"])
    assert result.exit_code == 0, result.output
    assert result.output.count("2/2/2") == 10
    assert "answers       closed 20" in result.output
    assert "modalities    CT 10, histology 10" in result.output
    assert "sources       drawn 20" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "vqa-rad"], "name the release and its source"),
        (["add", "vqa-rad", "x.zip"], "say which source"),
        (["add", "vqa-rad", "x.zip", "--source", "vqa-rad"], "in a checkout"),
        (["merge", "union", "a"], "in a checkout"),
        (["list"], r"no dvc\.yaml"),
        (["pull", "vqa-rad"], "no DVC project|no object store"),
        (["show", "nowhere"], "pins no version of the data set 'nowhere'"),
        (["diff", "one", "a/b"], "is no data version"),
    ],
)
def test_what_cannot_be_done_says_what_mends_it(
    two: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.delenv("MMEDAGENT_S3_BUCKET", raising=False)
    result = RUN.invoke(app, arguments)
    assert isinstance(result.exception, UsageError), result.exception
    with pytest.raises(UsageError, match=message):
        raise result.exception


@pytest.mark.slow
def test_a_set_is_added_listed_shown_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(tmp_path / "root")
    monkeypatch.chdir(root)
    release = zipped(vqa_rad(tmp_path / "rad"), tmp_path / "rad.zip")
    words = ["add", "vqa-rad", str(release), "--source", "vqa-rad"]
    keep = ["--set", "privacy.burned_in_text=keep"]
    result = RUN.invoke(app, [*words, *keep, "--no-validate"])
    assert result.exit_code == 0, result.output
    assert "7 cases, 4 images" in result.stdout
    assert "left out      no answer 1" in result.stdout
    assert "git add dvc.yaml dvc.lock params.yaml data/sets/vqa-rad*" in result.stdout
    commit(root, "VQA-RAD")
    again = RUN.invoke(app, ["add", "vqa-rad", "--no-validate"])
    assert again.stdout == result.stdout
    rows = json.loads(RUN.invoke(app, ["list", "--json"]).stdout)
    assert [row["name"] for row in rows] == ["starter", "vqa-rad"]
    assert rows[1]["cases"] == 7 and rows[1]["up_to_date"] == "yes"
    assert "vqa-rad  vqa-rad  " in RUN.invoke(app, ["list"]).stdout
    shown = RUN.invoke(app, ["show", "vqa-rad@HEAD"]).stdout
    assert "answers       closed 6, open 1" in shown and "no answer 1" in shown
    same = RUN.invoke(app, ["diff", "vqa-rad@HEAD", "vqa-rad"])
    assert "hold the same 7 cases" in same.stdout


@pytest.mark.slow
def test_a_set_that_leaks_is_made_and_not_let_through_until_a_person_has_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The official splits of VQA-RAD share images, as the release drawn here does."""
    root = make_repository(tmp_path / "root")
    monkeypatch.chdir(root)
    release = zipped(vqa_rad(tmp_path / "rad"), tmp_path / "rad.zip")
    words = ["add", "vqa-rad", str(release), "--source", "vqa-rad"]
    words += ["--set", "privacy.burned_in_text=keep"]
    refused = RUN.invoke(app, words)
    assert isinstance(refused.exception, BadDataError) and refused.exception.exit_code == 13
    assert "same_image" in str(refused.exception)
    assert (root / "data" / "vqa-rad" / "manifest.json").is_file()
    folder = ["--validation", "runs/validation/vqa-rad"]
    for kind in ("same_image", "subject_in_pools"):
        why = ["--reason", "The official splits share images.", "--who", "A. Person"]
        marked = RUN.invoke(app, ["review", "--all-of", kind, *why, *folder])
        assert marked.exit_code == 0, marked.output
    accepted = RUN.invoke(app, ["add", "vqa-rad"])
    assert accepted.exit_code == 0, accepted.exception
    assert "findings reviewed" in accepted.stdout
    assert (root / "data" / "vqa-rad" / "reviewed.yaml").is_file()
