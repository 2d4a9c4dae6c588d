"""`mmedagent data`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmedagent.cases.store import write_cases
from mmedagent.cli.data import app
from mmedagent.errors import BadDataError, UsageError
from tests.mmedagent.cases.examples import broken, data_set

RUN = CliRunner()


@pytest.mark.parametrize("command", ["fetch", "build", "show", "validate"])
def test_help_teaches_by_example(command: str) -> None:
    result = RUN.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"mmedagent data {command}" in result.output


def test_show_counts_images_subjects_and_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cases(tmp_path / "data", "set", data_set())
    monkeypatch.setenv("COLUMNS", "120")
    result = RUN.invoke(app, ["show", str(tmp_path / "data")])
    assert result.exit_code == 0, result.output
    assert result.output.count("2/2/2") == 10


def test_bad_data_is_an_error_of_its_own_exit_code(tmp_path: Path) -> None:
    def change(rows: list[dict[str, object]]) -> None:
        rows[0]["specialty"] = "Astrologer"

    folder = broken(tmp_path / "data", change)
    result = RUN.invoke(app, ["validate", str(folder), "--out", str(tmp_path / "out")])
    assert isinstance(result.exception, BadDataError)
    assert "Astrologer" in str(result.exception)


def test_building_before_fetching_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = RUN.invoke(app, ["build", "--out", str(tmp_path / "data")])
    assert isinstance(result.exception, UsageError)
    assert "mmedagent data fetch" in str(result.exception)
    assert not (tmp_path / "data").exists()
