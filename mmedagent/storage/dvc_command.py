"""Runs DVC as a program: what the project asks of it, it asks as a person would."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mmedagent.errors import StorageError


def dvc(root: Path, words: Sequence[str]) -> str:
    """Run `dvc` with `words` in `root`, silently; return what it prints.

    Raises `StorageError` with the end of its own message when it fails.
    """
    done = subprocess.run(
        command(words), cwd=root, env=environment(), capture_output=True, text=True
    )
    if done.returncode != 0:
        said = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-8:])
        raise StorageError(f"`dvc {' '.join(words)}` failed (exit {done.returncode}): {said}")
    return done.stdout


def dvc_aloud(root: Path, words: Sequence[str]) -> int:
    """Run `dvc` with `words` in `root`, its output shown as it comes; return its exit code."""
    return subprocess.run(command(words), cwd=root, env=environment()).returncode


def command(words: Sequence[str]) -> list[str]:
    """Return the command line: the DVC of the environment that this process runs in."""
    return [sys.executable, "-m", "dvc", *words]


def environment() -> dict[str, str]:
    """Return DVC's environment: a stage says `python` and means the one that runs this."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "DVC_NO_ANALYTICS": "1", "PATH": path}
