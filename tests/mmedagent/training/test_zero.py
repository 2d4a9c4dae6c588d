"""DDP, ZeRO-2 and ZeRO-3 with two processes under torchrun, as a DAG step starts them."""

import shutil

import pytest
import torch
from safetensors.torch import load_file
from trl import GRPOTrainer

from mmedagent import progress
from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import triage_messages
from mmedagent.digests import digest_folder
from mmedagent.errors import InterruptedWithCheckpoint, MMedAgentError
from mmedagent.models.load import load_model
from mmedagent.recipes.scale import DeepSpeedRecipe
from mmedagent.recipes.training import TriageRecipe
from mmedagent.training import grpo, launch
from mmedagent.training.checkpoints import last_checkpoint
from mmedagent.training.grpo import Task, train
from mmedagent.training.reward import names_specialty
from mmedagent.training.tensor_files import save_state
from tests.mmedagent.training import recorded

SPREAD = {
    "ddp": {"deepspeed": None},
    "zero-2": {"deepspeed": DeepSpeedRecipe(stage=2)},
    "zero-3": {"deepspeed": DeepSpeedRecipe(stage=3)},
}
RECIPE = TriageRecipe(
    prompts_per_step=4,
    generations=4,
    warmup_steps=0,
    schedule="constant",
    max_grad_norm=1e6,
    max_new_tokens=9,
    checkpoint_every=2,
    drop_groups_without_variance=True,
    kl=0.02,
)
DESCENT = RECIPE.model_copy(update={"learning_rate": 0.5, "checkpoint_every": 100})


@pytest.fixture(scope="module")
def tasks(draw_cases):
    return [
        Task(
            Prompt(triage_messages(case.view(), "compact"), case.images),
            case,
            entropy=(0.0001, 0.005, 0.03)[n % 3],
            kl=(0.001, 0.004, 0.01)[n % 3],
        )
        for n, case in enumerate(draw_cases(4, "train"))
    ]


def _train(tasks, start, folder, recipe, steps):
    return train(
        tasks, names_specialty, start, recipe, steps,
        stage="triage", out=folder / "out", work=folder,
    )  # fmt: skip


def _instead(script):
    """Return what starts `script` under torchrun in the place of the rank's module."""
    command = launch._command

    def of_the_script(folder, processes):
        *torchrun, _, _, job = command(folder, processes)
        return [*torchrun, str(script), job]

    return of_the_script


@pytest.fixture(scope="module")
def one_process(tasks, tiny_start, tmp_path_factory):
    """A recorded batch, and what one process makes of it: gradients, weights after three steps.

    One of the four groups has no variance, so that the two processes' shares of the loss differ;
    policy, reference and sampling policy differ, so that ratio and KL pull.
    """
    folder = tmp_path_factory.mktemp("one")
    caught = []
    roll_out = GRPOTrainer._generate_and_score_completions

    class Enough(BaseException):
        pass

    def catch(trainer, inputs):
        caught.append(roll_out(trainer, inputs))
        raise Enough

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Enough):
        patch.setattr(GRPOTrainer, "_generate_and_score_completions", catch)
        _train(tasks, tiny_start, folder, DESCENT, 1)
    (rollouts,) = caught
    draw = torch.Generator().manual_seed(0)
    shape = rollouts["completion_ids"].shape
    rollouts["advantages"] = torch.randn(16, generator=draw)
    rollouts["advantages"][:4] = 0
    reference = rollouts["ref_per_token_logps"]
    rollouts["ref_per_token_logps"] = reference + 0.3 * torch.randn(shape, generator=draw)
    rollouts["old_per_token_logps"] = reference + 0.1 * torch.randn(shape, generator=draw)
    del rollouts["num_items_in_batch"]  # TRL's, not used by our loss
    record = folder / "record"
    record.mkdir()
    save_state(record, "rollouts", rollouts)
    with pytest.MonkeyPatch.context() as patch:
        for owner, name, new in recorded.patches(record, folder / "gradients.st"):
            patch.setattr(owner, name, new)
        _train(tasks, tiny_start, folder, DESCENT, 3)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("way", SPREAD)
def test_two_processes_compute_the_gradients_and_steps_of_one(
    way, one_process, tasks, tiny_start, tmp_path, monkeypatch
):
    shutil.copytree(one_process / "record", tmp_path / "record")
    monkeypatch.setattr(launch, "_command", _instead(recorded.__file__))
    # Two micro-batches each, into which the dropped group's rows fall unevenly.
    recipe = DESCENT.model_copy(update={"processes": 2, "micro_batch": 4, **SPREAD[way]})
    _train(tasks, tiny_start, tmp_path, recipe, 3)

    ours, theirs = (load_file(path / "gradients.st") for path in (tmp_path, one_process))
    assert ours.keys() == theirs.keys() == dict(load_model(tiny_start).named_parameters()).keys()
    for name, expected in theirs.items():
        assert (ours[name] - expected).norm() <= 1e-5 * expected.norm(), name
    start, ended, expected = (
        load_model(path).state_dict()
        for path in (tiny_start, tmp_path / "out", one_process / "out")
    )
    for name, value in expected.items():
        moved = (value - start[name]).norm()
        assert moved > 0 and (ended[name] - value).norm() <= 1e-4 * moved, name


ENDS = {
    # One rank is gone, as when the system kills it.
    "dies": "if state.global_step == 3 and rank_number == 1: os._exit(9)",
    # The step's process is asked to stop: torchrun's parent.
    "stops": (
        "if state.global_step == 2 and rank_number == 0:"
        " os.kill(psutil.Process(os.getppid()).ppid(), 15); time.sleep(3)"
    ),
}
RANK = """
import os, sys, time
import psutil
from mmedagent.training import curves, rank

rank_number = int(os.environ["RANK"])
on_log = curves.Progress.on_log

def end(self, args, state, control, **rest):
    on_log(self, args, state, control, **rest)
    {how}

curves.Progress.on_log = end
sys.exit(rank.main())
"""
RUNS = {
    "zero-2": ("stops", {}),
    # As the recipe `cluster` does on its GPUs; a CPU can compute in bfloat16 too.
    "zero-3": (
        "dies",
        {"dtype": "bfloat16", "gradient_checkpointing": True, "micro_batch": 4},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", RUNS)
def test_a_run_is_saved_resumed_consolidated_and_read_in_one_process(
    way, tasks, tiny_start, tmp_path, monkeypatch
):
    end, more = RUNS[way]
    monkeypatch.setattr(grpo, "check_machine", lambda recipe, where: None)
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "progress"))
    spread = {"processes": 2, "learning_rate": 1e-3, **SPREAD[way], **more}
    recipe = RECIPE.model_copy(update=spread)
    script = tmp_path / "rank.py"
    script.write_text(RANK.replace("{how}", ENDS[end]))
    with monkeypatch.context() as patch, pytest.raises(MMedAgentError) as ended:
        patch.setattr(launch, "_command", _instead(script))
        _train(tasks, tiny_start, tmp_path / "cut", recipe, 4)
    assert isinstance(ended.value, InterruptedWithCheckpoint) is (end == "stops")
    done, total, said = progress.read(tmp_path / "progress")
    assert 2 <= done < total == 4 and "triage: reward" in said
    checkpoint = last_checkpoint(tmp_path / "cut")
    assert checkpoint.name in ("checkpoint-2", "checkpoint-3")
    kinds = {path.suffix for path in checkpoint.iterdir()}
    assert kinds == {".json", ".safetensors"}, "no pickle"
    assert (checkpoint / "partition-1.safetensors").exists()
    facts = _train(tasks, tiny_start, tmp_path / "cut", recipe, 4)
    assert facts["steps"] == 4 and facts["reward_last"] > 0

    start, out = (load_model(path).state_dict() for path in (tiny_start, tmp_path / "cut/out"))
    assert {n: v.shape for n, v in out.items()} == {n: v.shape for n, v in start.items()}
    name = "model.language_model.layers.0.mlp.up_proj.weight"
    assert (out[name] - start[name]).abs().max() > 1e-4
    published = {path.name for path in (tmp_path / "cut/out").iterdir()}
    assert published == {path.name for path in tiny_start.iterdir()} | {"curves.jsonl"}

    _train(tasks, tiny_start, tmp_path / "whole", recipe, 4)
    assert digest_folder(tmp_path / "cut/out") == digest_folder(tmp_path / "whole/out")
