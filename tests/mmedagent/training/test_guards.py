import json

import pytest
import torch

from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import triage_messages
from mmedagent.errors import MMedAgentError
from mmedagent.models.load import load_model, load_processor
from mmedagent.models.save import save_model
from mmedagent.recipes.training import SupervisedRecipe, TriageRecipe
from mmedagent.training import curves, grpo, loss
from mmedagent.training.completions import triage_completion
from mmedagent.training.grpo import Task, train
from mmedagent.training.guards import BAD_BATCH, first_bad, steps_without_variance
from mmedagent.training.reward import names_specialty
from mmedagent.training.supervised import Example, fit

RECIPE = TriageRecipe(
    prompts_per_step=3, generations=4, warmup_steps=0, checkpoint_every=50, max_new_tokens=8
)


@pytest.fixture
def run(tiny_start, draw_cases, tmp_path):
    tasks = [
        Task(Prompt(triage_messages(c.view(), "compact"), c.images), c, entropy=0.0, kl=0.001)
        for c in draw_cases(7, "train")
    ]

    def call(steps=3, start=tiny_start, judge=names_specialty, **changes):
        recipe = RECIPE.model_copy(update=changes)
        out, work = tmp_path / "out", tmp_path / "work"
        return train(tasks, judge, start, recipe, steps, stage="triage", out=out, work=work)

    call.tasks, call.work = tasks, tmp_path / "work"
    return call


def _bad_batch(run, error):
    record = json.loads((run.work / BAD_BATCH).read_text())
    assert list(record) == ["schema", "title", "step", "cause", "case_ids"]
    assert record["schema"] == 1
    assert record["case_ids"] and set(record["case_ids"]) <= {t.case.case_id for t in run.tasks}
    assert f"step {record['step']}: {record['cause']}" in str(error)
    assert str(run.work / BAD_BATCH) in str(error)
    return record


def _damaged(start, folder, change):
    """A real Start whose weights are such that training on it must fail."""
    model, processor = load_model(start), load_processor(start)
    with torch.no_grad():
        change(model)
    save_model(folder, model, processor)
    return folder


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
def test_a_reward_that_is_no_number_stops(run, monkeypatch, bad):
    """Of one case alone, in the second step that it is drawn for."""
    wrong = run.tasks[2].case.case_id
    original = grpo.reward_functions

    def functions(cases, judge):
        form, accuracy = original(cases, judge)

        def broken(completions, row, **columns):
            rewards = accuracy(completions=completions, row=row, **columns)
            pairs = zip(rewards, row, strict=True)
            return [bad if cases[n].case_id == wrong else value for value, n in pairs]

        broken.__name__ = "accuracy"
        return [form, broken]

    monkeypatch.setattr(grpo, "reward_functions", functions)
    with pytest.raises(MMedAgentError, match="a reward is (nan|inf)") as stopped:
        run(steps=5)
    record = _bad_batch(run, stopped.value)
    assert record["case_ids"] == [wrong]
    assert not (run.work.parent / "out").exists()


def test_a_loss_that_is_no_number_stops(run, tiny_start, tmp_path):
    """The reference is so far that exp(log reference - log policy) overflows."""

    def far(trainer, inputs):
        output = original(trainer, inputs)
        output["ref_per_token_logps"] = output["ref_per_token_logps"] + 1e4
        return output

    original = loss.DoctorTrainer._generate_and_score_completions
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss.DoctorTrainer, "_generate_and_score_completions", far)
        with pytest.raises(
            MMedAgentError, match="step 1: the loss is nan.*lower learning_rate"
        ) as e:
            run()
    assert len(_bad_batch(run, e.value)["case_ids"]) == 3


def test_a_gradient_that_is_no_number_stops_before_the_weights_follow(run, monkeypatch):
    """Forward finite, backward not: the loss alone would say so one step, and all weights, late."""

    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, value):
            return value.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * float("nan")

    original = loss.DoctorTrainer._compute_loss
    models = []

    def compute(self, model, inputs):
        models.append(model)
        return Broken.apply(original(self, model, inputs))

    monkeypatch.setattr(loss.DoctorTrainer, "_compute_loss", compute)
    with pytest.raises(MMedAgentError, match="step 1: the gradient's norm is nan") as stopped:
        run()
    _bad_batch(run, stopped.value)
    assert all(weights.isfinite().all() for weights in models[0].parameters())


def test_weights_that_are_no_numbers_stop_with_one_clear_error(run, tiny_start, tmp_path):
    def damage(model):
        model.model.language_model.norm.weight.fill_(float("nan"))

    start = _damaged(tiny_start, tmp_path / "nan", damage)
    with pytest.raises(MMedAgentError, match="step 1: a probability of the policy is nan"):
        run(start=start)


def _mute(model):
    """Every distribution is the same narrow one: no rollout differs."""
    model.model.language_model.norm.weight.mul_(100)


def test_rollouts_that_never_differ_stop_the_training(run, tiny_start, tmp_path):
    start = _damaged(tiny_start, tmp_path / "mute", _mute)
    with pytest.raises(
        MMedAgentError, match="triage, step 4: for 4 steps.*cannot explore from here"
    ):
        run(steps=6, start=start, patience_without_variance=4, judge=lambda *_: False)
    assert not (run.work.parent / "out").exists()


def test_the_patience_survives_a_stop(run, tiny_start, tmp_path, monkeypatch):
    """The count is the checkpoint's: a training that is stopped often does not go on for ever."""
    start = _damaged(tiny_start, tmp_path / "mute", _mute)
    options = {"start": start, "judge": lambda *_: False, "checkpoint_every": 1}

    class Died(BaseException):
        pass

    def die(self, args, state, control, **_):
        if state.global_step == 3:
            raise Died

    with monkeypatch.context() as patch:
        patch.setattr(curves.Progress, "on_log", die)
        with pytest.raises(Died):
            run(steps=6, patience_without_variance=4, **options)
    with pytest.raises(MMedAgentError, match="step 4: for 4 steps"):
        run(steps=6, patience_without_variance=4, **options)


def test_patience_can_be_switched_off(run):
    facts = run(steps=3, judge=lambda *_: False, patience_without_variance=0)
    assert facts["steps"] == 3


def _entry(share, reward=0.5):
    return {"frac_reward_zero_std": share, "reward": reward}


@pytest.mark.parametrize(
    ("history", "count"),
    [
        ([], 0),
        ([_entry(1.0)] * 3, 3),
        ([_entry(1.0), _entry(0.9), _entry(1.0)], 1),
        ([_entry(1.0), _entry(1.0), _entry(0.5)], 0),
        ([_entry(1.0), {"eval_loss": 1.0}, _entry(1.0)], 2),
        ([_entry(1.0), _entry(1.0, reward=1.5)], 0),  # solved, not stuck
        ([_entry(1.0, reward=1.5), _entry(1.0, reward=1.4)], 1),
    ],
)
def test_counting_steps_without_variance(history, count):
    assert steps_without_variance(history) == count


def test_the_first_bad_number():
    assert first_bad([1.0, float("inf"), float("nan")]) == float("inf")
    assert first_bad([]) is None and first_bad([0.0, -1e300]) is None


@pytest.mark.parametrize("kept", [True, False])
def test_supervised_training_stops_too(run, tiny_base, tmp_path, kept):
    """A rate at which the first step overflows all weights; without a work folder, words alone."""
    examples = [Example(t.prompt, triage_completion(t.case), t.case.case_id) for t in run.tasks]
    recipe = SupervisedRecipe(steps=5, batch_size=2, learning_rate=1e30, warmup_steps=0)
    model, processor = load_model(tiny_base), load_processor(tiny_base)
    work = run.work if kept else None
    with pytest.raises(MMedAgentError, match="a test, step 2: the loss is nan") as stopped:
        fit(model, processor, examples, recipe, seed=0, work=work, title="a test")
    if kept:
        assert len(_bad_batch(run, stopped.value)["case_ids"]) == 2
