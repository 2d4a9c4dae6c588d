import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmedagent.study.context import Row
from mmedagent.study.folder import cell_path
from tests.mmedagent.study.conftest import ROOT
from tests.mmedagent.study.factory import Factory, Plan


def study(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mmedagent.cli.main", "study", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def test_help_teaches_with_examples(tmp_path: Path) -> None:
    done = study(tmp_path, "--help")
    assert done.returncode == 0
    for word in ("--rows", "--page-only", "mmedagent study --quick", "Ctrl-C", "75"):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--rows", "ful"), "no row is called that. Did you mean 'full'"),
        (("--rows", "*-by_teir"), "Did you mean"),
        (("--seeds", "4-2"), "--seeds '4-2'"),
        (("--memory", "lots"), "--memory 'lots'"),
        (("--recipe", "labtop"), "Did you mean 'laptop'"),
        (("--set", "training.attending.order=easy_to_hrad"), "Did you mean 'easy_to_hard'"),
        (("--set", "training.attending.schedule=cosin"), "Did you mean 'cosine'"),
        (("--recipe", "one-gpu"), "Use the recipe laptop"),
        ((), "data/starter: not there; `make data` makes it"),
        (("--page-only",), "holds no study"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    done = study(tmp_path, *words)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_the_page_is_made_from_the_cells_alone(tmp_path: Path) -> None:
    out = tmp_path / "some"
    Factory(images=20).write(out, [(Row("full", "baseline", "", "rest"), Plan())])
    done = study(tmp_path, "--page-only", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert (out / "study.md").is_file() and (out / "study" / "accuracy.svg").is_file()
    assert str(out / "study.html") in done.stdout

    done = study(tmp_path, "--page-only", "--out", str(out), "--docs", str(tmp_path / "docs"))
    assert (tmp_path / "docs" / "study.md").read_bytes() == (out / "study.md").read_bytes()

    path = cell_path(out, "full", 1)
    path.write_text(path.read_text()[:-20])
    done = study(tmp_path, "--page-only", "--out", str(out))
    assert done.returncode == 12
    assert "seed-1.json" in done.stderr and "Traceback" not in done.stderr
