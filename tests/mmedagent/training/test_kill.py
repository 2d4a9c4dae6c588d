"""Real processes, really killed: the same command afterwards gives the same weights."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mmedagent.cases.store import write_cases
from mmedagent.digests import digest_folder

SCRIPT = """
import sys
from pathlib import Path
from mmedagent.errors import MMedAgentError
from mmedagent.recipes.training import TriageRecipe
from mmedagent.training.triage import train_triage

cases, start, out, work = (Path(text) for text in sys.argv[1:])
recipe = TriageRecipe(
    steps=12, prompts_per_step=4, generations=4, checkpoint_every=3, max_new_tokens=9
)
try:
    train_triage(cases, start, recipe, out, work)
except MMedAgentError as error:
    print(error)
    sys.exit(int(error.exit_code))
"""


@pytest.fixture
def command(tiny_start, draw_cases, tmp_path):
    write_cases(tmp_path / "cases", "drawn", draw_cases(20, "train"))

    def build(name):
        folders = [
            tmp_path / "cases",
            tiny_start,
            tmp_path / name / "out",
            tmp_path / name / "work",
        ]
        return [sys.executable, "-c", SCRIPT, *map(str, folders)]

    return build


def _until_checkpoint(process, work):
    deadline = time.monotonic() + 240
    while not list(work.glob("checkpoint-*")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("kill", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 75)])
def test_a_killed_training_ends_where_an_undisturbed_one_does(command, tmp_path, kill, code):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command("whole"), check=True, env=environment, timeout=300)
    process = subprocess.Popen(command("cut"), env=environment, stdout=subprocess.PIPE, text=True)
    _until_checkpoint(process, tmp_path / "cut/work")
    process.send_signal(kill)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == code
    assert not (tmp_path / "cut/out").exists()
    assert code != 75 or "the same command goes on" in said
    subprocess.run(command("cut"), check=True, env=environment, timeout=300)
    assert digest_folder(tmp_path / "cut/out") == digest_folder(tmp_path / "whole/out")
