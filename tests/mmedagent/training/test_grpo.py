import json
import os
import signal

import pytest
import torch

from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import triage_messages
from mmedagent.digests import digest_folder
from mmedagent.errors import BadDataError, InterruptedWithCheckpoint, MMedAgentError
from mmedagent.models.load import load_model
from mmedagent.recipes.training import TriageRecipe
from mmedagent.training import curves, grpo, loss
from mmedagent.training.checkpoints import last_checkpoint
from mmedagent.training.grpo import Task, train
from mmedagent.training.reward import names_specialty

RECIPE = TriageRecipe(
    prompts_per_step=3, generations=4, warmup_steps=2, checkpoint_every=2, max_new_tokens=9
)
FIELDS = {
    "stage", "step", "reward", "reward_std", "entropy", "kl", "loss", "zero_variance_share",
    "accuracy", "format_rate", "completion_length", "learning_rate", "grad_norm",
}  # fmt: skip


@pytest.fixture
def tasks(draw_cases):
    return [
        Task(Prompt(triage_messages(case.view(), "compact"), case.images), case, entropy=e, kl=k)
        for case, (e, k) in zip(
            draw_cases(7, "train"), [(0.0, 0.001), (0.03, 0.01)] * 4, strict=False
        )
    ]


@pytest.fixture
def run(tiny_start, tasks, tmp_path):
    def call(name="a", recipe=RECIPE, steps=4, start=tiny_start, tasks=tasks):
        return train(
            tasks, names_specialty, start, recipe, steps,
            stage="triage", out=tmp_path / name / "out", work=tmp_path / name / "work",
        )  # fmt: skip

    return call


def _weights(folder):
    return load_model(folder).state_dict()


def test_trains_reproducibly_and_writes_its_curve(run, tiny_start, tmp_path):
    facts = run("a")
    run("b")
    assert digest_folder(tmp_path / "a" / "out") == digest_folder(tmp_path / "b" / "out")
    run("c", RECIPE.model_copy(update={"seed": 5}))
    start, a, c = (_weights(p) for p in (tiny_start, tmp_path / "a/out", tmp_path / "c/out"))
    name = "model.language_model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(start[name], a[name]) and not torch.equal(a[name], c[name])
    records = curves.read_curves(tmp_path / "a/out/curves.jsonl")
    assert [record["step"] for record in records] == [1, 2, 3, 4]
    assert all(set(record) == FIELDS and record["stage"] == "triage" for record in records)
    assert all(0 <= record["reward"] <= 1.5 and record["entropy"] > 0 for record in records)
    assert records[0]["kl"] == pytest.approx(0, abs=1e-6) and records[-1]["kl"] > 0
    assert records[0]["learning_rate"] < records[2]["learning_rate"] == RECIPE.learning_rate
    assert facts["steps"] == 4 and facts["tasks"] == 7


@pytest.mark.parametrize("dies_after", [2, 3])
def test_a_training_that_died_goes_on_to_the_same_weights(run, tmp_path, monkeypatch, dies_after):
    run("whole", steps=5)
    calls = []

    class Died(BaseException):
        pass

    def die(self, args, state, control, **_):
        calls.append(state.global_step)
        if state.global_step == dies_after:
            raise Died

    with monkeypatch.context() as patch:
        patch.setattr(curves.Progress, "on_log", die)
        with pytest.raises(Died):
            run("cut", steps=5)
    found = last_checkpoint(tmp_path / "cut/work")
    assert (found is None) if dies_after < 3 else (found.name == "checkpoint-2")
    run("cut", steps=5)
    assert digest_folder(tmp_path / "cut/out") == digest_folder(tmp_path / "whole/out")


def test_sigterm_writes_a_checkpoint_and_says_so(run, tmp_path, monkeypatch):
    run("whole", steps=4)

    def on_log(self, args, state, control, **_):
        if state.global_step == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(curves.Progress, "on_log", on_log)
        with pytest.raises(InterruptedWithCheckpoint) as stopped:
            run("cut", steps=4)
    assert stopped.value.exit_code == 75 and str(tmp_path) in str(stopped.value)
    assert signal.getsignal(signal.SIGTERM) == before
    assert last_checkpoint(tmp_path / "cut/work").name in ("checkpoint-1", "checkpoint-2")
    assert not (tmp_path / "cut/out").exists()
    run("cut", steps=4)
    assert digest_folder(tmp_path / "cut/out") == digest_folder(tmp_path / "whole/out")


def test_a_half_written_checkpoint_is_never_found(run, tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(grpo.Trainer, "_save_rng_state", full)
    with pytest.raises(OSError, match="No space"):
        run("full")
    assert last_checkpoint(tmp_path / "full/work") is None
    assert not list((tmp_path / "full/work").glob("checkpoint-*"))


def test_a_loss_that_is_no_number_stops(run, monkeypatch):
    def nothing(*arguments):
        made = loss.Loss(*[torch.tensor(float("nan"), requires_grad=True)] * 4)
        return made

    monkeypatch.setattr(loss, "grpo_loss", nothing)
    with pytest.raises(MMedAgentError, match="step 1: the loss is nan"):
        run("nan")


def test_no_tasks_is_bad_data(run):
    with pytest.raises(BadDataError, match="no cases"):
        run("empty", tasks=[])


def test_columns_reach_the_loss_in_their_rows_order(run, tasks, monkeypatch):
    """Each row's gamma and beta are its own task's, after TRL's shuffle; dropped rows are gone."""
    seen = []
    original = loss.grpo_loss

    def spy(*arguments):
        seen.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(loss, "grpo_loss", spy)
    run("spy", steps=2)
    run("spy-drop", RECIPE.model_copy(update={"drop_groups_without_variance": True}), steps=2)
    whole, dropped = seen[:2], seen[2:]
    for arguments in whole:
        gamma, beta, weight = arguments[6:9]
        assert len(gamma) == 12 and weight.tolist() == [1.0] * 12
        pairs = {
            (round(g, 6), round(b, 6)) for g, b in zip(gamma.tolist(), beta.tolist(), strict=True)
        }
        assert pairs <= {(0.0, 0.001), (0.03, 0.01)}
    for arguments in dropped:
        advantages, weight = arguments[4], arguments[8]
        assert len(advantages) < 12 or advantages.abs().min() > 0
        assert weight.sum() == len(weight) or len(weight) == 1


def test_whole_logits_give_what_trl_gives(run, monkeypatch):
    """The shortcut for small vocabularies against TRL's tiled computation, on the same inputs."""
    compared = []
    method = loss.DoctorTrainer._get_per_token_logps_and_entropies

    def both(self, *arguments, **options):
        short = method(self, *arguments, **options)
        with monkeypatch.context() as patch, torch.no_grad():
            patch.setattr(loss, "WHOLE_LOGITS", 0)
            tiled = method(self, *arguments, **options)
        for ours, theirs in zip(short[:2], tiled[:2], strict=True):
            if ours is not None:
                mask = theirs != 0
                torch.testing.assert_close(ours[mask], theirs[mask], atol=1e-5, rtol=1e-4)
                compared.append(mask.sum().item())
        return short

    monkeypatch.setattr(loss.DoctorTrainer, "_get_per_token_logps_and_entropies", both)
    run("both", steps=1)
    assert len(compared) >= 3 and min(compared) > 50


def test_the_curve_of_an_empty_history_is_empty():
    assert curves.curve("easy", [{"train_runtime": 3.0, "step": 2}]) == []
    assert curves.curve_bytes([]) == b""
    assert json.loads(curves.curve_bytes([{"step": 1}])) == {"step": 1}


def test_training_twice_adds_no_end_token_to_the_config(run, tmp_path):
    run("one", steps=1)
    run("two", steps=1, start=tmp_path / "one" / "out")
    one, two = (
        json.loads((tmp_path / n / "out/generation_config.json").read_text())["eos_token_id"]
        for n in ("one", "two")
    )
    assert one == two and len(one) == 1
