"""What the step's process does around torchrun, with ranks that are a few lines of Python."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import triage_messages
from mmedagent.errors import (
    BadDataError,
    BrokenEvidenceError,
    InterruptedWithCheckpoint,
    MMedAgentError,
    UsageError,
)
from mmedagent.recipes.scale import DeepSpeedRecipe
from mmedagent.recipes.training import AttendingRecipe, TriageRecipe
from mmedagent.training import launch
from mmedagent.training.launch import Job, read_job, write_job
from mmedagent.training.reward import names_option, names_specialty
from mmedagent.training.tasks import Task

WAITS = """
import os, sys, time
from pathlib import Path
from mmedagent.training import launch, rank
from mmedagent.errors import *
import threading
folder, rank_number = Path(sys.argv[1]), int(os.environ["RANK"])
threading.Thread(target=rank._end_with_launcher, args=(folder / launch.ALIVE,), daemon=True).start()
def wait_for(path):
    while not path.exists():
        time.sleep(0.05)
"""


@pytest.fixture
def job(draw_cases, tmp_path):
    tasks = [
        Task(Prompt(triage_messages(c.view(), "compact"), c.images), c, 0.005, 0.004, 1.5)
        for c in draw_cases(3, "train")
    ]
    recipe = TriageRecipe(processes=2)
    work = tmp_path / "work"
    return Job(tasks, names_specialty, tmp_path, recipe, 5, "triage", tmp_path / "out", work, None)


def _use(monkeypatch, tmp_path, script):
    path = tmp_path / "rank.py"
    path.write_text(WAITS + script)
    command = launch._command

    def of_the_script(folder, processes):
        *torchrun, _, _, where = command(folder, processes)
        return [*torchrun, str(path), where]

    monkeypatch.setattr(launch, "_command", of_the_script)


def test_a_job_read_by_a_rank_is_the_job(job, tmp_path):
    write_job(tmp_path / "job", job)
    assert read_job(tmp_path / "job") == job
    other = Job(
        job.tasks[:1],
        names_option,
        tmp_path,
        AttendingRecipe(processes=2, deepspeed=DeepSpeedRecipe(stage=2)),
        7,
        "hard",
        tmp_path / "out",
        tmp_path / "work",
        tmp_path / "reference",
    )
    write_job(tmp_path / "other", other)
    assert read_job(tmp_path / "other") == other


def test_a_judge_that_ranks_cannot_import_is_refused(job, tmp_path):
    anonymous = Job(**{**vars(job), "judge": lambda answer, case: True})
    with pytest.raises(UsageError, match="no function of a module"):
        write_job(tmp_path / "job", anonymous)


@pytest.mark.slow
def test_the_facts_of_the_first_rank_come_back(job, monkeypatch, tmp_path):
    _use(
        monkeypatch,
        tmp_path,
        "job = launch.read_job(folder)\n"
        "if rank_number == 0:\n"
        "    world = int(os.environ['WORLD_SIZE'])\n"
        "    launch.report_facts(folder, {'world': world, 'tasks': len(job.tasks)})\n",
    )
    assert launch.launch(job) == {"world": 2, "tasks": 3}
    assert not (job.work / launch.FOLDER).exists()


@pytest.mark.slow
def test_the_error_that_says_what_is_wrong_comes_back(job, monkeypatch, tmp_path):
    """Rank 1 knows the cause; rank 0 fails first, because it lost its partner."""
    _use(
        monkeypatch,
        tmp_path,
        "if rank_number == 0:\n"
        "    launch.report_error(folder, 0, RuntimeError('connection closed by peer'))\n"
        "else:\n"
        "    wait_for(folder / 'error-0.json')\n"
        "    launch.report_error(folder, 1, BrokenEvidenceError('a.safetensors: truncated'))\n"
        "wait_for(folder / 'error-1.json')\n"
        "sys.exit(1)\n",
    )
    with pytest.raises(BrokenEvidenceError, match="a.safetensors: truncated"):
        launch.launch(job)


def test_errors_of_other_kinds_name_their_rank(job, monkeypatch, tmp_path):
    (tmp_path / "work/launch").mkdir(parents=True)
    launch.report_error(tmp_path / "work/launch", 1, KeyError("weird"))
    with pytest.raises(MMedAgentError, match="rank 1 of 2 failed.*KeyError: 'weird'"):
        launch._outcome(tmp_path / "work/launch", job, launch.StopRequest())
    launch.report_error(tmp_path / "work/launch", 0, BadDataError("row 3"))
    with pytest.raises(BadDataError, match="row 3"):
        launch._outcome(tmp_path / "work/launch", job, launch.StopRequest())


@pytest.mark.slow
def test_ranks_that_the_system_killed_are_told_of(job, monkeypatch, tmp_path):
    _use(monkeypatch, tmp_path, "os.kill(os.getpid(), 9)\n")
    with pytest.raises(MMedAgentError, match="without a word.*memory"):
        launch.launch(job)


STOPS = """
import signal
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
(folder / f"ready-{rank_number}").touch()
while not asked:
    time.sleep(0.05)
time.sleep(1)  # a checkpoint takes its time
launch.report_error(folder, rank_number, InterruptedWithCheckpoint("stopped with a checkpoint"))
"""
LAUNCHER = """
import sys
from pathlib import Path
from mmedagent.errors import MMedAgentError
from mmedagent.training import launch
folder = Path(sys.argv[1])
command = launch._command
launch._command = lambda *a: [*command(*a)[:-3], sys.argv[2], command(*a)[-1]]
try:
    launch.launch(launch.read_job(folder))
except MMedAgentError as error:
    print(error)
    sys.exit(int(error.exit_code))
"""


@pytest.fixture
def launched(job, tmp_path):
    """The launcher as a process of its own, its two ranks waiting for a signal."""
    write_job(tmp_path / "job", job)
    script = tmp_path / "rank.py"
    script.write_text(WAITS + STOPS)
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(tmp_path / "job"), str(script)],
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    ready = [job.work / launch.FOLDER / f"ready-{rank}" for rank in (0, 1)]
    while not all(path.exists() for path in ready):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_request_to_stop_reaches_all_ranks_and_waits_for_them(launched, job):
    family = psutil.Process(launched.pid).children(recursive=True)
    assert len(family) >= 3  # torchrun and its ranks
    launched.send_signal(signal.SIGTERM)
    said, _ = launched.communicate(timeout=60)
    assert launched.returncode == InterruptedWithCheckpoint.exit_code == 75
    assert "stopped with a checkpoint" in said
    left = sorted(path.name for path in (job.work / launch.FOLDER).glob("error-*.json"))
    assert left == ["error-0.json", "error-1.json"]
    record = json.loads((job.work / launch.FOLDER / left[1]).read_bytes())
    assert record["type"] == "InterruptedWithCheckpoint"
    assert not psutil.wait_procs(family, timeout=20)[1]


@pytest.mark.slow
def test_ranks_do_not_outlive_a_killed_launcher(launched):
    family = psutil.Process(launched.pid).children(recursive=True)
    os.kill(launched.pid, signal.SIGKILL)
    launched.wait()
    assert not psutil.wait_procs(family, timeout=60)[1]
