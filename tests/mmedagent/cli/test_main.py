"""The console script: how every command ends."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["data", "validate", "--nonsense"], 2, "No such option: --nonsense"),
        (["data", "nonsense"], 2, "No such command"),
        (["gate", "--help"], 0, "Usage:"),
    ],
)
def test_a_command_that_is_not_there_ends_in_one_message(
    words: list[str], code: int, said: str
) -> None:
    command = [sys.executable, "-m", "mmedagent.cli.main", *words]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == code
    assert said in done.stdout + done.stderr and "Traceback" not in done.stderr
