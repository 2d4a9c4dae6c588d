import socket
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from mmedagent.cli import consult, serve, store, ui
from mmedagent.errors import BadDataError, ServingError, UsageError
from mmedagent.storage.local import stop_local_store

app = typer.Typer()
app.add_typer(store.app, name="store")
for command in (serve.serve, consult.consult, ui.ui):
    app.command(name=command.__name__)(command)


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MMEDAGENT_HOME", str(tmp_path))
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("name", ["serve", "consult", "ui", "store start", "store env"])
def test_help_teaches_by_example(name: str) -> None:
    shown = invoke(*name.split(), "--help")
    assert shown.exit_code == 0 and f"mmedagent {name}" in " ".join(shown.output.split())


def test_consult_says_what_is_missing(empty_home: Path) -> None:
    image = empty_home / "image.png"
    image.write_bytes(b"x")
    question = (str(image), "Which?", "--option", "CT")
    assert isinstance(invoke("consult", *question).exception, UsageError)
    no_server = invoke("consult", *question, "--option", "MR").exception
    assert isinstance(no_server, ServingError) and "mmedagent serve --ensure" in str(no_server)
    url = ("--option", "MR", "--url", "http://127.0.0.1:9")
    command = ("consult", str(empty_home / "absent.png"), "Which?", "--option", "CT", *url)
    assert isinstance(invoke(*command).exception, BadDataError)
    image.write_bytes(b"")
    empty = invoke("consult", *question, *url).exception
    assert isinstance(empty, BadDataError) and "is empty" in str(empty)


def test_serve_says_that_there_is_nothing_to_serve_and_starts_nothing(empty_home: Path) -> None:
    failed = invoke("serve", "--ensure").exception
    assert isinstance(failed, ServingError) and "mmedagent run" in str(failed)
    assert isinstance(invoke("serve", "--ensure", "--stop").exception, UsageError)
    assert "no server was running" in invoke("serve", "--stop").output
    status = invoke("serve", "--status").output
    assert "champion    none" in status and "serving     nothing" in status
    assert not (empty_home / "runs" / "storage").exists()


def test_ui_needs_a_registry_and_a_port(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = invoke("ui").exception
    assert isinstance(failed, UsageError) and "mmedagent run" in str(failed)
    monkeypatch.setenv("MMEDAGENT_HOME", str(home))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        in_use = invoke("ui", "--port", str(taken.getsockname()[1])).exception
    assert isinstance(in_use, ServingError) and "is in use" in str(in_use)


def test_the_store_from_the_command_line(empty_home: Path) -> None:
    assert "is not running" in invoke("store", "status").output
    (empty_home / ".dvc").mkdir()
    try:
        started = invoke("store", "start")
        assert (
            started.exit_code == 0 and "the object store is at http://127.0.0.1:" in started.output
        )
        assert "mmedagent/dvc" in (empty_home / ".dvc" / "config.local").read_text()
        assert "versions" in invoke("store", "status").output
        variables = invoke("store", "env").output
        assert "export MMEDAGENT_S3_ENDPOINT=http://127.0.0.1:" in variables
        assert "secret" not in variables.lower()
        assert "stopped" in invoke("store", "stop").output
    finally:
        stop_local_store(empty_home)
