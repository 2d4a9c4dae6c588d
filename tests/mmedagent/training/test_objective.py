"""The trainer's loss and gradients against METHOD's formula, built from scratch.

The rollouts are real ones of the tiny Qwen2.5-VL. From them only tokens, images and texts are
taken; rewards, advantages, ratios, KL and entropies are computed here, a row at a time, without
padding, by the plain transformers model. In float64, because a relative 1e-5 of every gradient is
nearer than float32 comes with sums in another order (transformers' RMSNorm stays in float32).
"""

import copy
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from trl import GRPOTrainer

from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import triage_messages
from mmedagent.models.load import load_model
from mmedagent.recipes.training import TriageRecipe
from mmedagent.training import loss
from mmedagent.training.grpo import Task, train
from mmedagent.training.reward import accuracy_reward, format_reward, names_specialty

RECIPE = TriageRecipe(prompts_per_step=5, generations=6, max_new_tokens=9, temperature=0.9)
CLIP = RECIPE.clip
PAPER = ((0.0001, 0.001), (0.005, 0.004), (0.03, 0.01))


@dataclass
class Rollout:
    """A trainer, stopped where it would compute its first loss, and what it would compute it of."""

    trainer: Any
    inputs: dict[str, Any]
    tasks: list[Task]
    old: Any
    """The policy that is said to have sampled."""


class Caught(BaseException):
    pass


def _caught(tiny_start, cases, folder, recipe, coefficients):
    """Start the real training; return its trainer, the first batch and the tasks."""
    tasks = [
        Task(Prompt(triage_messages(case.view(), "compact"), case.images), case, *coefficients[n])
        for n, case in enumerate(cases)
    ]

    def catch(trainer, model, inputs):
        raise Caught(trainer, inputs)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Caught) as caught:
        patch.setattr(loss.DoctorTrainer, "_compute_loss", catch)
        train(
            tasks, names_specialty, tiny_start, recipe, 1, stage="t", out=folder / "o", work=folder
        )
    return *caught.value.args, tasks


def _rollout(tiny_start, cases, folder, recipe, coefficients):
    """Roll out through the real training, then move policy and reference apart."""
    trainer, inputs, tasks = _caught(tiny_start, cases, folder, recipe, coefficients)
    old = _plain(trainer.model, tiny_start)
    for number, model in enumerate((old, trainer.model.double(), trainer.ref_model.double())):
        _perturb(model, 0.3, seed=number)
    inputs["pixel_values"] = inputs["pixel_values"].double()
    # Three policies instead of one, or ratio, clipping and KL would have nothing to show.
    with torch.no_grad():
        for name, model in (("old", old), ("ref", trainer.ref_model)):
            padded = torch.zeros(inputs["completion_ids"].shape, dtype=torch.float64)
            for row, (log_probs, _) in enumerate(_rows(model, inputs, recipe.temperature)):
                padded[row, : len(log_probs)] = log_probs
            inputs[f"{name}_per_token_logps"] = padded
    return Rollout(trainer, inputs, tasks, old)


def _plain(model, folder):
    """A copy as transformers makes it, without what `speed_up` replaces."""
    plain = load_model(folder).double()
    plain.load_state_dict(copy.deepcopy(model.state_dict()))
    return plain


def _perturb(model, size, seed):
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in model.parameters():
            noise = torch.randn(weights.shape, generator=draw, dtype=torch.float64)
            weights += size * weights.std() * noise if weights.numel() > 1 else 0


def _rows(model, inputs, temperature):
    """Yield each row's log-probabilities and entropies [tokens], from a forward pass of its own."""
    patches = inputs["image_grid_thw"].prod(1).cumsum(0).tolist()
    for row, end in enumerate(patches):
        prompt = inputs["prompt_ids"][row][inputs["prompt_mask"][row].bool()]
        completion = inputs["completion_ids"][row][inputs["completion_mask"][row].bool()]
        ids = torch.cat([prompt, completion])[None]
        logits = model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            mm_token_type_ids=(ids == model.config.image_token_id).long(),
            pixel_values=inputs["pixel_values"][patches[row - 1] if row else 0 : end],
            image_grid_thw=inputs["image_grid_thw"][row : row + 1],
            use_cache=False,
        ).logits[0]
        p = torch.softmax(logits[len(prompt) - 1 : -1] / temperature, dim=-1)
        chosen = p[torch.arange(len(completion)), completion]
        yield torch.log(chosen), -(p * torch.log(p)).sum(-1)


def _rewards(rollout):
    """R = R_format + R_accuracy of each row, read off its text (`test_reward` holds the two)."""
    texts = rollout.trainer.processing_class.batch_decode(
        rollout.inputs["completion_ids"], skip_special_tokens=True
    )
    cases = [rollout.tasks[row].case for row in rollout.inputs["row"].tolist()]
    rewards = [
        format_reward(text) + accuracy_reward(text, case, names_specialty)
        for text, case in zip(texts, cases, strict=True)
    ]
    return torch.tensor(rewards, dtype=torch.float64)


def _advantages(rewards, groups):
    """(R - mean) / (std + 1e-4) in each group; the std divides by G - 1."""
    advantages = torch.zeros_like(rewards)
    for group in set(groups):
        mine = torch.tensor([other == group for other in groups])
        mean = rewards[mine].sum() / mine.sum()
        std = (((rewards[mine] - mean) ** 2).sum() / (mine.sum() - 1)) ** 0.5
        advantages[mine] = (rewards[mine] - mean) / (std + 1e-4)
    return advantages


def _from_scratch(rollout, drop=False):
    """Return - J, the plain model it was computed with, and for each token +1 or -1 if clipped."""
    inputs, temperature = rollout.inputs, rollout.trainer.temperature
    policy = _plain(rollout.trainer.model, rollout.trainer.model.name_or_path)
    groups = inputs["row"].tolist()
    advantages = _advantages(_rewards(rollout), groups)
    torch.testing.assert_close(inputs["advantages"].double(), advantages, rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        old = list(_rows(rollout.old, inputs, temperature))
        reference = list(_rows(rollout.trainer.ref_model, inputs, temperature))
    objectives, clipped = [], []
    for row, (log_p, entropy) in enumerate(_rows(policy, inputs, temperature)):
        advantage = advantages[row]
        if drop and advantage == 0:
            continue
        ratio = torch.exp(log_p) / torch.exp(old[row][0])
        bounded = torch.clamp(ratio, 1 - CLIP, 1 + CLIP)
        surrogate = torch.minimum(ratio * advantage, bounded * advantage)
        clipped += (advantage.sign() * (surrogate != ratio * advantage)).tolist()
        q = torch.exp(reference[row][0]) / torch.exp(log_p)
        kl = q - torch.log(q) - 1
        task = rollout.tasks[groups[row]]
        objectives.append((surrogate - task.kl * kl + task.entropy * entropy).mean())
    return -torch.stack(objectives).mean(), policy, clipped


def _gradients(model):
    return {name: weights.grad for name, weights in model.named_parameters()}


def _same(ours, theirs, tolerance=1e-5):
    """Every parameter's gradient, relative to the largest entry of that gradient."""
    assert set(ours) == set(theirs)
    for name, expected in theirs.items():
        assert expected is not None and expected.abs().max() > 0, name
        distance = (ours[name] - expected).abs().max() / expected.abs().max()
        assert distance < tolerance, (name, distance.item())


@pytest.fixture
def mixed(tiny_start, draw_cases, tmp_path):
    """Five prompts with the coefficients of the three tiers, made larger so that they count."""
    coefficients = [(30 * gamma, 30 * beta) for gamma, beta in PAPER + PAPER]

    def make(**changes):
        recipe = RECIPE.model_copy(update=changes)
        return _rollout(tiny_start, draw_cases(5, "train"), tmp_path, recipe, coefficients)

    return make


@pytest.mark.parametrize("whole_logits", [True, False])
def test_loss_and_every_gradient_are_the_papers(mixed, monkeypatch, whole_logits):
    """Both ways of computing log-probabilities: whole logits, and TRL's tiles."""
    rollout = mixed()
    if not whole_logits:
        monkeypatch.setattr(loss, "WHOLE_LOGITS", 0)
    value = rollout.trainer._compute_loss(rollout.trainer.model, rollout.inputs)
    value.backward()
    expected, policy, clipped = _from_scratch(rollout)
    expected.backward()
    assert clipped.count(1) > 5 and clipped.count(-1) > 5 and clipped.count(0) > 50
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    _same(_gradients(rollout.trainer.model), _gradients(policy))


def test_dropping_groups_is_the_formula_on_the_others(mixed):
    rollout = mixed(drop_groups_without_variance=True)
    kept = rollout.inputs["weight"].sum().item()
    assert 0 < kept < len(rollout.inputs["weight"])
    value = rollout.trainer._compute_loss(rollout.trainer.model, rollout.inputs)
    value.backward()
    expected, policy, _ = _from_scratch(rollout, drop=True)
    expected.backward()
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    _same(_gradients(rollout.trainer.model), _gradients(policy))


@pytest.mark.parametrize("drop", [False, True])
def test_micro_batches_add_up_to_the_batch(mixed, drop):
    """Rows weigh in two uneven halves, dropped ones among them, what they weigh at once."""
    rollout = mixed(drop_groups_without_variance=drop)
    trainer, inputs = rollout.trainer, rollout.inputs
    whole = trainer._compute_loss(trainer.model, inputs)
    whole.backward()
    at_once = {name: grad.clone() for name, grad in _gradients(trainer.model).items()}
    trainer.model.zero_grad()
    trainer.current_gradient_accumulation_steps = trainer.args.steps_per_generation = 2
    order = inputs["weight"].argsort(descending=True)  # the first half holds the rows that count
    parts = [loss.select_rows(inputs, half.sort().values) for half in order.chunk(2)]
    if drop:
        assert parts[0]["weight"].sum() != parts[1]["weight"].sum()
    values = [trainer._compute_loss(trainer.model, part) for part in parts]
    sum(values).backward()
    assert sum(values).item() == pytest.approx(whole.item(), rel=1e-9)
    _same(_gradients(trainer.model), at_once, 1e-6)


def test_without_entropy_and_with_one_beta_it_is_trls_own_loss(
    tiny_start, draw_cases, tmp_path, monkeypatch
):
    rollout = _rollout(tiny_start, draw_cases(5, "train"), tmp_path, RECIPE, [(0.0, 0.04)] * 5)
    trainer = rollout.trainer
    assert trainer.beta == 0.04 and trainer.loss_type == "grpo"
    ours = trainer._compute_loss(trainer.model, rollout.inputs)
    ours.backward()
    gradients = {name: grad.clone() for name, grad in _gradients(trainer.model).items()}
    trainer.model.zero_grad()
    theirs = GRPOTrainer._compute_loss(trainer, trainer.model, rollout.inputs)
    theirs.backward()
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-7)
    _same(gradients, _gradients(trainer.model), 1e-6)


def test_the_trainer_is_configured_as_the_paper_says(tiny_start, draw_cases, tmp_path):
    """METHOD, 'Training'; where the paper is silent: docs/method.md."""
    recipe = TriageRecipe(prompts_per_step=2, max_new_tokens=3)
    rollout = _rollout(tiny_start, draw_cases(2, "train"), tmp_path, recipe, [(0.0, 0.001)] * 2)
    args = rollout.trainer.args
    assert args.num_generations == 8 and args.temperature == 1.0
    assert args.top_p == 1.0 and args.top_k == 0 and args.min_p is None
    assert args.repetition_penalty == 1.0
    assert args.loss_type == "grpo" and args.importance_sampling_level == "token"
    assert (
        args.scale_rewards == "group" and args.multi_objective_aggregation == "sum_then_normalize"
    )
    assert args.reward_weights is None and rollout.trainer.reward_weights.tolist() == [1.0, 1.0]
    assert args.num_iterations == 1
    assert args.steps_per_generation == args.gradient_accumulation_steps
    assert args.epsilon == 0.2 and rollout.trainer.epsilon_high == 0.2 and args.delta is None
    assert args.use_bias_correction_kl is False and args.sync_ref_model is False
    assert args.entropy_coef == 0.0 and args.top_entropy_quantile == 1.0
    assert not args.mask_truncated_completions and args.off_policy_mask_threshold is None


@pytest.fixture(scope="module")
def advantages_of(tiny_start, draw_cases, tmp_path_factory):
    """Call TRL's own scoring of 3 groups of 8 completions, made once, with given rewards."""
    recipe = TriageRecipe(prompts_per_step=3, max_new_tokens=4)
    folder = tmp_path_factory.mktemp("advantages")
    trainer, _, _ = _caught(tiny_start, draw_cases(3, "train"), folder, recipe, [(0.0, 0.001)] * 3)
    rows = [trainer.train_dataset[n // 8] for n in range(24)]
    generate = trainer._generate
    made = []

    def once(prompts):
        made.append(made[0] if made else generate(prompts))
        return copy.deepcopy(made[0])

    trainer._generate = once

    def call(rewards, drop):
        trainer.drop_groups_without_variance = drop
        parts = torch.tensor([[0.5 * (r % 1 > 0), float(r >= 1)] for r in rewards])
        trainer._calculate_rewards = lambda *_: parts
        return trainer._generate_and_score_completions(rows)

    return call


GROUP = st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5]), min_size=8, max_size=8)


@given(groups=st.tuples(GROUP, GROUP, GROUP | st.just([1.5] * 8)), drop=st.booleans())
@settings(max_examples=25, deadline=None)
def test_advantages_are_standardised_rewards(advantages_of, groups, drop):
    rewards = torch.tensor(groups, dtype=torch.float64)
    output = advantages_of(rewards.flatten().tolist(), drop)
    got = output["advantages"].double()
    numbers = [n for n in range(3) for _ in range(8)]
    torch.testing.assert_close(got, _advantages(rewards.flatten(), numbers), rtol=1e-5, atol=1e-6)
    varied = torch.tensor([len(set(group)) > 1 for group in groups]).repeat_interleave(8)
    assert output["weight"].tolist() == (varied | (not drop)).double().tolist()
    assert output["total_weight"] == output["weight"].sum()
    for mine, reward in zip(got.view(3, 8), rewards, strict=True):
        assert abs(mine.sum().item()) < 1e-4
        if reward.min() == reward.max():
            assert mine.abs().max() == 0
        else:
            assert 0.99 < mine.std().item() < 1
            assert ((mine[:, None] > mine) == (reward[:, None] > reward)).all()
