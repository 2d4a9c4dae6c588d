"""A repository in miniature: real Git, real DVC, the project's code, no data set yet."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from mmedagent.recipes.params import render

ROOT = Path(__file__).parents[4]
DVC_YAML = "# What is made before a run, not in it.\nstages:\n"
STARTER = """\
  # The set that is cut from packages.
  starter:
    cmd: python make_starter.py
    deps:
    - make_starter.py
    outs:
    - data/starter
"""
_MAKE_STARTER = """\
from pathlib import Path
from mmedagent.cases.store import write_cases
from tests.mmedagent.cases.examples import data_set
write_cases(Path("data/starter"), "starter", data_set(), 1)
"""


def make_repository(folder: Path) -> Path:
    """Make `folder` a repository with one stage, `starter`, that was not run."""
    folder.mkdir(parents=True, exist_ok=True)
    # A copy: a stage depends on the code, which somebody may be editing.
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "mmedagent", folder / "mmedagent", ignore=unwanted)
    (folder / "tests").symlink_to(ROOT / "tests")
    for name in (".gitignore", ".dvcignore"):
        (folder / name).write_text((ROOT / name).read_text())
    (folder / "params.yaml").write_text(render(root=folder))
    (folder / "dvc.yaml").write_text(DVC_YAML + STARTER)
    (folder / "make_starter.py").write_text(_MAKE_STARTER)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    dvc(folder, "init", "--quiet")
    commit(folder, "Begin")
    return folder


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(folder: Path, message: str) -> str:
    """Commit all that Git does not ignore; return the revision."""
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def dvc(folder: Path, *words: str) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "PATH": path}
    command = [sys.executable, "-m", "dvc", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
