"""The DVC stage of a data set: what decides its bytes, and running it."""

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import psutil

from mmedagent import progress
from mmedagent.errors import (
    BadDataError,
    ExitCode,
    InterruptedWithCheckpoint,
    MMedAgentError,
    UsageError,
)
from mmedagent.recipes.sets import DataSetRecipe
from mmedagent.storage.dvc_command import command, dvc, environment

MERGED = "sets"
"""The source of a set that is made of others."""
CODE = (
    "mmedagent/cases/add.py",
    "mmedagent/cases/adding",
    "mmedagent/cases/case.py",
    "mmedagent/cases/imaging",
    "mmedagent/cases/layout.py",
    "mmedagent/cases/modalities.py",
    "mmedagent/cases/modalities.yaml",
    "mmedagent/cases/multiple_choice.py",
    "mmedagent/cases/privacy",
    "mmedagent/cases/sources",
    "mmedagent/cases/writer.py",
    "mmedagent/consultation/normalise.py",
)
"""The code that decides the bytes of a set made of a release."""
MERGE_CODE = (
    "mmedagent/cases/case.py",
    "mmedagent/cases/layout.py",
    "mmedagent/cases/sets/members.py",
    "mmedagent/cases/sets/merge.py",
    "mmedagent/cases/writer.py",
)
"""The same for a set made of other sets."""
_TICK_SECONDS = 0.2
_EXITED = re.compile(r"exited with (\d+)")
_ERRORS: dict[int, type[MMedAgentError]] = {
    int(ExitCode.USAGE): UsageError,
    int(ExitCode.BAD_DATA): BadDataError,
    int(ExitCode.INTERRUPTED): InterruptedWithCheckpoint,
}
Watch = Callable[[int, int, str], None]
"""Told the units done, all of them (0 when unknown), and the phase."""


def add_stage(root: Path, recipe: DataSetRecipe, members: tuple[str, ...] = ()) -> None:
    """Have `dvc.yaml` in `root` hold the stage of `recipe`; other stages and comments are kept.

    `members` are the sets that a merged one is made of. Raises `StorageError` with DVC's own
    message when DVC refuses.
    """
    merged = recipe.source.name == MERGED
    module = "mmedagent.cases.sets.merge" if merged else "mmedagent.cases.add"
    words = ["stage", "add", "--force", "--quiet", "--name", recipe.name]
    words += ["--desc", f"Data set of the source {recipe.source.name}: docs/datasets.md."]
    for path in dependencies(root, recipe, members):
        words += ["--deps", path]
    words += ["--params", f"data_sets.{recipe.name}", "--outs", f"data/{recipe.name}"]
    dvc(root, [*words, f"python -m {module} {recipe.name}"])


def dependencies(root: Path, recipe: DataSetRecipe, members: tuple[str, ...]) -> list[str]:
    """Return what the stage depends on beside its parameters, as paths relative to `root`."""
    code = MERGE_CODE if recipe.source.name == MERGED else CODE
    optional = [f"data/reviews/{recipe.name}.yaml"]
    return [
        recipe.release,
        *[f"data/{member}" for member in members],
        *([recipe.source.mapping] if recipe.source.mapping else []),
        *[path for path in optional if (root / path).is_file()],
        *code,
    ]


def reproduce(root: Path, name: str, watch: Watch | None = None) -> None:
    """Run `dvc repro NAME` in `root`, following the progress that the stage tells.

    Ctrl-C reaches the stage, which leaves its finished chunks; this waits for it. Raises what the
    stage's exit code stands for, with the stage's own message.
    """
    with tempfile.TemporaryDirectory(prefix="mmedagent-repro-") as folder:
        told, said = Path(folder) / "progress.json", Path(folder) / "output"
        variables = {**environment(), progress.VARIABLE: str(told)}
        with said.open("wb") as output, _signals() as asked:
            process = subprocess.Popen(
                command(["repro", name]), cwd=root, env=variables,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
            while process.poll() is None:
                time.sleep(_TICK_SECONDS)
                if asked.pop("SIGTERM", False):
                    _ask_to_end(process.pid)
                state = progress.read(told)
                if watch is not None and state is not None:
                    watch(*state)
        if process.returncode != 0:
            raise _failure(name, said.read_text(encoding="utf-8", errors="replace"))


@contextmanager
def _signals() -> Iterator[dict[str, bool]]:
    """Note signals instead of dying of them: what runs ends in order first.

    The terminal sends Ctrl-C to DVC and the stage as well; a SIGTERM has to be passed on.
    """
    asked: dict[str, bool] = {}
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, _frame: FrameType | None) -> None:
        asked[signal.Signals(number).name] = True

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ask_to_end(pid: int) -> None:
    """Send SIGTERM to what DVC runs, not to DVC: it would leave its stage behind."""
    with suppress(psutil.Error):
        children = psutil.Process(pid).children(recursive=True)
        for child in children or [psutil.Process(pid)]:
            child.terminate()


def _failure(name: str, output: str) -> MMedAgentError:
    exited = _EXITED.search(output)
    code = int(exited[1]) if exited else int(ExitCode.CRASH)
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    if exited:  # between DVC's announcement and its verdict is what the stage said
        end = next((n for n, line in enumerate(lines) if line.startswith("ERROR:")), len(lines))
        start = max((n for n, line in enumerate(lines[:end]) if line.startswith("> ")), default=-1)
        lines = lines[start + 1 : end]
    text = os.linesep.join(lines[-40:])
    return _ERRORS.get(code, MMedAgentError)(f"`dvc repro {name}` failed (exit {code}): {text}")
