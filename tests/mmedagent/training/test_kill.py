"""Real processes, really killed: the same call afterwards gives the same weights, bit for bit."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from mmedagent.digests import digest_folder
from mmedagent.errors import ExitCode
from mmedagent.training.checkpoint_folder import last_checkpoint
from mmedagent.training.curves import read_curves
from tests.mmedagent.training.conftest import write_tables
from tests.mmedagent.training.kill_server import STEPS

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]

FILES = "mmedagent.training.tensor_files:"
LOSS = "mmedagent.training.loss:DoctorTrainer."
RENAME, REPLACE = "pathlib:Path.rename", "pathlib:Path.replace"
IN_BOTH_LOOPS = {
    "before an optimiser step": {"where": "torch.optim:AdamW.step", "nth": 5},
    "after an optimiser step": {"where": "torch.optim:AdamW.step", "nth": 6, "when": "after"},
    "writing weights, first save": {"where": f"{FILES}save_file", "when": "cut"},
    "writing the optimiser": {"where": f"{FILES}save_file", "nth": 5, "when": "cut"},
    "before the manifest": {"where": REPLACE, "match": "manifest", "nth": 2},
    "after the manifest": {"where": REPLACE, "match": "manifest", "nth": 2, "when": "after"},
    "flushing": {"where": "os:fsync", "nth": 18},
    "before the rename": {"where": RENAME, "match": "checkpoint-4$"},
    "after the rename": {"where": RENAME, "match": "checkpoint-4$", "when": "after"},
    "before an old one goes": {"where": RENAME, "match": r"\.old$", "nth": 2},
    "while an old one goes": {"where": "os:unlink", "match": "json", "nth": 3, "when": "after"},
    "publishing": {"where": "mmedagent.models.save:write_model", "when": "after"},
    "published": {"where": RENAME, "match": "/out$", "when": "after"},
}
IN_GRPO = {
    "before the first step": {"where": f"{LOSS}_compute_loss"},
    "generating": {"where": f"{LOSS}_generate_and_score_completions", "nth": 4},
    "judging": {"where": "mmedagent.training.reward:accuracy_reward", "nth": 70},
    "rollouts made": {
        "where": f"{LOSS}_generate_and_score_completions", "nth": 5, "when": "after",
    },
    "between two uses of rollouts": {"where": f"{LOSS}_compute_loss", "nth": 6},
    "within a backward pass": {
        "where": "accelerate:Accelerator.backward", "nth": 3, "when": "within",
    },
    "after the last step": {"where": RENAME, "match": f"checkpoint-{STEPS}$", "when": "after"},
}  # fmt: skip
POINTS = [
    *(("attending", name) for name in IN_BOTH_LOOPS | IN_GRPO),
    *(("warm", name) for name in IN_BOTH_LOOPS),
    ("reused", "between two uses of rollouts"),
]


class Server:
    """A warm process that runs trials in children of its own."""

    def __init__(self, kitchen: Path) -> None:
        self.kitchen = kitchen
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.mmedagent.training.kill_server"],
            cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout.readline() == "ready\n"

    def run(self, job, folder, sent=None, kill_after=None, **options):
        """Run one trial to its end; return its exit code and what it said."""
        trial = {
            "job": job,
            "tables": str(self.kitchen),
            "start": str(self.kitchen / "start"),
            "out": str(folder / "out"),
            "work": str(folder / "work"),
            "log": str(folder / "log"),
            "recipe": {"checkpoint_every": 3 if job == "reused" else 2},
            "signal": sent,
            "kill_after": kill_after,
            **options,
        }
        folder.mkdir(exist_ok=True)
        self.process.stdin.write(json.dumps(trial) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["code"], answer["said"]


@pytest.fixture(scope="module")
def server(tmp_path_factory, tiny_base, draw_cases):
    kitchen = tmp_path_factory.mktemp("kitchen")
    write_tables(kitchen, draw_cases(18, "train"), draw_cases(36, "warm_start"))
    served = Server(kitchen)
    made = served.run(
        "warm", kitchen / "start-made", start=str(tiny_base), recipe={"steps": 40, "batch_size": 16}
    )
    assert made[0] == 0, made
    (kitchen / "start-made/out").rename(kitchen / "start")
    yield served
    served.process.stdin.close()
    served.process.wait(60)


@dataclass
class Whole:
    """What a job publishes when nothing disturbs it."""

    out: Path
    digest: str
    seconds: float


@pytest.fixture(scope="module")
def whole(server, tmp_path_factory):
    results = {}
    for job in ("attending", "reused", "warm"):
        folder = tmp_path_factory.mktemp("whole") / job
        began = time.monotonic()
        code, said = server.run(job, folder)
        seconds = time.monotonic() - began
        assert code == 0 and f"made {STEPS} steps" in said, said
        results[job] = Whole(folder / "out", digest_folder(folder / "out"), seconds)
    return results


def _step(folder):
    """The step of the checkpoint that a killed job left, 0 without one."""
    found = [last_checkpoint(path) for path in (folder / "work", folder / "work/supervised")]
    return max((int(path.name.rpartition("-")[2]) for path in found if path), default=0)


def _finish(server, job, folder, whole):
    """Run the same call again: it ends with the undisturbed weights, and repeats no saved step."""
    left = STEPS - _step(folder)
    code, said = server.run(job, folder)
    assert code == 0, said
    assert f"made {left} steps" in said
    assert digest_folder(folder / "out") == whole[job].digest
    rest = [path.name for path in (folder / "work").rglob(".checkpoint-*")]
    assert not rest


def test_the_undisturbed_runs_are_worth_comparing(whole):
    """Each step had something to learn: rewards that differ within a group, and a gradient."""
    assert len({result.digest for result in whole.values()}) == 3
    steps = read_curves(whole["attending"].out / "curves.jsonl")
    assert [step["step"] for step in steps] == list(range(1, STEPS + 1))
    assert all(step["grad_norm"] > 0 and step["zero_variance_share"] < 1 for step in steps)


@pytest.mark.parametrize(("job", "point"), POINTS)
def test_killed_at_any_point_it_ends_where_an_undisturbed_run_does(
    server, whole, tmp_path, job, point
):
    code, said = server.run(job, tmp_path, (IN_BOTH_LOOPS | IN_GRPO)[point])
    assert code == -signal.SIGKILL, said
    _finish(server, job, tmp_path, whole)


@pytest.mark.parametrize("job", ["attending", "warm"])
def test_killed_again_and_again_at_any_moment(server, whole, tmp_path, job):
    """Kills from outside, at moments that nobody chose, and one while a checkpoint is read."""
    draw = random.Random(7)
    for _ in range(3):
        code, _ = server.run(job, tmp_path, kill_after=draw.uniform(0.3, 1) * whole[job].seconds)
        assert code in (-signal.SIGKILL, 0)  # 0: it was done before the signal came
    found = _step(tmp_path)
    code, said = server.run(
        job, tmp_path, {"where": "torch.optim:AdamW.load_state_dict", "when": "after"}
    )
    assert code == (-signal.SIGKILL if found else 0), said
    _finish(server, job, tmp_path, whole)


@pytest.mark.parametrize(
    ("job", "where", "step"),
    [
        ("attending", {"where": f"{LOSS}_generate_and_score_completions", "nth": 3}, 3),
        ("attending", {"where": f"{FILES}save_file", "nth": 2}, 3),
        ("reused", {"where": f"{LOSS}_compute_loss", "nth": 5}, 6),  # rollouts are used up first
        ("warm", {"where": "torch.optim:AdamW.step", "nth": 3}, 3),
        ("warm", {"where": f"{FILES}save_file", "nth": 2}, 2),
    ],
)
def test_sigterm_ends_it_with_a_checkpoint_and_code_75(server, whole, tmp_path, job, where, step):
    code, said = server.run(job, tmp_path, {**where, "kind": "SIGTERM"})
    assert (code, _step(tmp_path)) == (75, step), said
    assert f"{tmp_path / 'work'}; the same command goes on" in said
    assert not (tmp_path / "out").exists()
    _finish(server, job, tmp_path, whole)


@pytest.fixture(scope="module")
def killed(server, tmp_path_factory):
    """The work of each job as a kill in its sixth step leaves it: a checkpoint of step 4."""
    made = {}
    for job in ("attending", "warm"):
        made[job] = tmp_path_factory.mktemp("killed") / job
        assert server.run(job, made[job], {"where": "torch.optim:AdamW.step", "nth": 6})[0] < 0
        assert _step(made[job]) == 4
    return made


def _checkpoint(folder):
    return last_checkpoint(folder / "work") or last_checkpoint(folder / "work/supervised")


def test_no_pickle_is_in_a_checkpoint(killed):
    for job, folder in killed.items():
        kinds = {path.suffix for path in _checkpoint(folder).rglob("*")}
        assert kinds == {".json", ".safetensors"}, job


@pytest.mark.parametrize(
    ("job", "file"),
    [
        *(("attending", f"{name}.safetensors") for name in ("weights", "optimizer", "random-0")),
        *(("attending", f"{name}.json") for name in ("trainer_state", "scheduler", "manifest")),
        *(("warm", name) for name in ("weights.safetensors", "optimizer.json", "progress.json")),
    ],
)
def test_a_truncated_checkpoint_is_refused_by_name(server, killed, whole, tmp_path, job, file):
    shutil.copytree(killed[job], tmp_path, dirs_exist_ok=True)
    damaged = _checkpoint(tmp_path) / file
    os.truncate(damaged, damaged.stat().st_size // 2)
    code, said = server.run(job, tmp_path)
    assert code == ExitCode.BROKEN_EVIDENCE
    assert f"{damaged}: it " in said and f"Delete {damaged.parent} to train from the start" in said
    assert "made" not in said and not (tmp_path / "out").exists()
    if file == "weights.safetensors":  # the mend works
        shutil.rmtree(damaged.parent)
        _finish(server, job, tmp_path, whole)


@pytest.mark.parametrize("job", ["attending", "warm"])
@pytest.mark.parametrize("changed", ["recipe", "start", "data"])
def test_a_checkpoint_of_another_training_is_refused_with_both_values(
    server, killed, tmp_path, tiny_base, draw_cases, job, changed
):
    shutil.copytree(killed[job], tmp_path / "job")
    options = {"recipe": {"checkpoint_every": 2}}
    if changed == "recipe":
        options["recipe"]["learning_rate"] = 0.5
    elif changed == "start":
        options["start"] = str(tiny_base)
    else:
        (tmp_path / "tables").mkdir()
        write_tables(
            tmp_path / "tables", draw_cases(18, "train", 1), draw_cases(36, "warm_start", 1)
        )
        options["tables"] = str(tmp_path / "tables")
    code, said = server.run(job, tmp_path / "job", **options)
    assert code == ExitCode.BROKEN_EVIDENCE
    manifest = _checkpoint(tmp_path / "job") / "manifest.json"
    assert f"{manifest}: this checkpoint is of another training" in said
    names = {"recipe": "recipe.learning_rate", "start": "start", "data": "tasks|examples"}
    there, here = re.search(rf"(?:{names[changed]}) is (\S+) there and (\S+) here", said).groups()
    assert there != here
    assert changed != "recipe" or here == "0.5"
    assert f"delete {manifest.parent} to train from the start" in said


def test_how_often_to_save_may_change(server, killed, whole, tmp_path):
    """It changes no weight, so a checkpoint written at another rhythm is gone on from."""
    shutil.copytree(killed["attending"], tmp_path, dirs_exist_ok=True)
    code, said = server.run("attending", tmp_path, recipe={"checkpoint_every": 1})
    assert code == 0 and "made 3 steps" in said, said
    assert digest_folder(tmp_path / "out") == whole["attending"].digest
