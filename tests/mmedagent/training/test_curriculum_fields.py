"""The recipe fields of the curriculum: order, stages, replay, draws, coefficients, reference."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mmedagent.cases.case import Opinion
from mmedagent.errors import UsageError
from mmedagent.recipes.training import STAGES, AttendingRecipe, StageSteps, TierDraws
from mmedagent.training.attending import (
    brought_in,
    coefficients_of,
    draws_of,
    stage_tasks,
    tiers_of,
    train_stage,
)
from mmedagent.training.grpo import prompt_order

SIZES = st.fixed_dictionaries({tier: st.integers(1, 60) for tier in STAGES})
E, M, H = STAGES


@pytest.mark.parametrize(
    ("order", "stages", "wanted"),
    [
        ("easy_to_hard", "cumulative", [(E,), (E, M), (E, M, H)]),
        ("easy_to_hard", "plain", [(E,), (M,), (H,)]),
        ("hard_to_easy", "cumulative", [(H,), (H, M), (H, M, E)]),
        ("hard_to_easy", "plain", [(H,), (M,), (E,)]),
        ("shuffled", "cumulative", [STAGES] * 3),
        ("shuffled", "plain", [STAGES] * 3),
    ],
)
def test_the_order_says_which_tiers_a_stage_trains_on(order, stages, wanted):
    recipe = AttendingRecipe(order=order, stages=stages)
    assert [tiers_of(stage, recipe) for stage in STAGES] == wanted


def test_a_stage_is_skipped_for_the_tier_it_brings_in():
    backwards = AttendingRecipe(order="hard_to_easy")
    assert [brought_in(stage, backwards) for stage in STAGES] == [(H,), (M,), (E,)]
    assert brought_in("easy", AttendingRecipe(order="shuffled")) == STAGES


@given(sizes=SIZES, share=st.floats(0.05, 0.9))
def test_replay_is_the_share_of_earlier_tiers(sizes, share):
    recipe = AttendingRecipe(stages="plain", replay=share)
    assert draws_of("easy", sizes, recipe) == {E: 1, M: 0, H: 0}
    drawn = draws_of("hard", sizes, recipe)
    mass = {tier: drawn[tier] * sizes[tier] for tier in STAGES}
    assert drawn[H] == 1 and drawn[E] == drawn[M]
    assert (mass[E] + mass[M]) / sum(mass.values()) == pytest.approx(share)


@pytest.mark.parametrize("fields", [{"stages": "cumulative"}, {"order": "shuffled"}])
def test_replay_is_refused_where_earlier_tiers_are_trained_on_anyway(fields):
    with pytest.raises(ValidationError, match="replay 0.5 needs stages: plain"):
        AttendingRecipe(**{"stages": "plain", "replay": 0.5} | fields)


@given(sizes=SIZES)
def test_coefficients_by_tier_by_stage_constant_and_zero(sizes):
    by_stage = AttendingRecipe(entropy_by="stage", kl_by="stage")
    for stage in STAGES:
        own = getattr(by_stage.coefficients, stage)
        assert set(coefficients_of(stage, sizes, by_stage).values()) == {own}
    constant = AttendingRecipe(entropy_by="constant", kl_by="constant")
    found = coefficients_of("hard", sizes, constant)
    cases = sum(sizes.values())
    entropy = (0.0001 * sizes[E] + 0.005 * sizes[M] + 0.03 * sizes[H]) / cases
    kl = (0.001 * sizes[E] + 0.004 * sizes[M] + 0.01 * sizes[H]) / cases
    for pair in found.values():
        assert (pair.entropy, pair.kl) == (pytest.approx(entropy), pytest.approx(kl))
    assert coefficients_of("easy", sizes, constant) == found
    none = AttendingRecipe(entropy_by="zero")
    assert {pair.entropy for pair in coefficients_of("hard", sizes, none).values()} == {0.0}


def test_tasks_carry_coefficients_and_draws(draw_cases):
    pool = draw_cases(6, "train")
    tiers = [E, M, H] * 2
    said = [(Opinion(specialist="s", role="Surgeon", letter="A", reasoning="", raw=""),)] * 6
    recipe = AttendingRecipe(draws=TierDraws(hard=2.5), stages="plain", replay=0.5)
    tasks = stage_tasks("hard", pool, tiers, said, recipe)
    assert [task.case.case_id for task in tasks] == [case.case_id for case in pool]
    assert [task.draws for task in tasks[:3]] == [1.25, 1.25, 2.5]
    assert [(task.entropy, task.kl) for task in tasks[:3]] == [
        (0.0001, 0.001),
        (0.005, 0.004),
        (0.03, 0.01),
    ]
    assert len(stage_tasks("easy", pool, tiers, said, recipe)) == 2


@given(seed=st.integers(0, 1000), heavy=st.floats(1.0, 4.0))
def test_prompts_are_drawn_as_often_as_said(seed, heavy):
    recipe = AttendingRecipe(prompts_per_step=10, seed=seed)
    draws = [1.0, 1.0, heavy, heavy]
    order = prompt_order(draws, recipe, steps=60)
    assert len(order) == 600 and order == prompt_order(draws, recipe, steps=60)
    counts = Counter(order)
    assert abs(counts[0] - counts[1]) <= 1
    assert (counts[2] + counts[3]) / (counts[0] + counts[1]) == pytest.approx(heavy, rel=0.25)


def test_equal_draws_are_plain_shuffled_epochs():
    order = prompt_order([1.0] * 5, AttendingRecipe(prompts_per_step=5), steps=4)
    epochs = [order[place : place + 5] for place in range(0, 20, 5)]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_a_start_that_is_referred_to_must_be_given(tables, tiny_base):
    recipe = AttendingRecipe(
        kl_reference="start", steps=StageSteps(easy=1, medium=1, hard=1), prompts_per_step=2
    )
    with pytest.raises(UsageError, match="no Start was given"):
        train_stage(
            "easy", tables / "cases", tables / "opinions", tables / "curriculum", tiny_base,
            recipe, tables / "out", tables / "work",
        )  # fmt: skip


def test_the_kl_refers_to_the_start_or_to_the_stage(tables, tiny_base, tiny_start):
    """From other weights than the Start's, the first step already lies away from the Start."""
    kl = {}
    for reference in ("stage", "start"):
        recipe = AttendingRecipe(
            kl_reference=reference, steps=StageSteps(easy=1, medium=1, hard=1),
            prompts_per_step=2, generations=4, max_new_tokens=6, drop_groups_without_variance=False,
        )  # fmt: skip
        train_stage(
            "easy", tables / "cases", tables / "opinions", tables / "curriculum", tiny_start,
            recipe, tables / reference, tables / f"work-{reference}", tiny_base,
        )  # fmt: skip
        from mmedagent.training.curves import read_curves

        kl[reference] = read_curves(tables / reference / "curves.jsonl")[0]["kl"]
    assert kl["stage"] == pytest.approx(0, abs=1e-6) and kl["start"] > 0.01
