from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmedagent.study.context import Row
from mmedagent.study.measures import ABANDONED, ANY, BEST, FOLLOWED, MAJORITY, measure
from mmedagent.study.statistics import Estimate, Table, TwoWayBootstrap, holm, table
from tests.mmedagent.study.factory import Factory, Plan

PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def test_holm_by_hand() -> None:
    # 0.01*4=0.04; 0.02*3=0.06; 0.03*2=0.06; 0.04*1=0.04 -> 0.06
    assert holm([0.01, 0.04, 0.03, 0.02]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_holm_equals_the_reference_implementation() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    values = np.random.default_rng(0).uniform(size=30) ** 3
    assert holm(values.tolist()) == pytest.approx(
        multitest.multipletests(values, method="holm")[1].tolist()
    )


@given(PROBABILITIES)
def test_holm_never_helps_keeps_the_order_and_stays_a_probability(values: list[float]) -> None:
    adjusted = holm(values)
    assert all(value <= after <= 1 for value, after in zip(values, adjusted, strict=True))
    pairs = sorted(zip(values, adjusted, strict=True))
    assert all(a[1] <= b[1] for a, b in zip(pairs, pairs[1:], strict=False))
    least = min(values)
    assert min(adjusted) == pytest.approx(min(1.0, len(values) * least))


@given(PROBABILITIES, st.randoms())
def test_holm_does_not_depend_on_the_order(values: list[float], random: object) -> None:
    order = list(range(len(values)))
    random.shuffle(order)  # type: ignore[attr-defined]
    there = holm([values[index] for index in order])
    assert [there[order.index(n)] for n in range(len(values))] == pytest.approx(holm(values))


def grid(values: np.ndarray) -> Table:
    """One case an image: values [seeds, images]."""
    clusters = np.arange(values.shape[1])
    return table(list(values), clusters, range(len(values)), values.shape[1])


def test_a_table_sums_by_image_and_leaves_out_what_does_not_count() -> None:
    values = [np.array([1.0, 0.0, np.nan, 1.0]), np.array([0.0, 1.0, 1.0, np.nan])]
    made = table(values, np.array([0, 0, 2, 2]), [7, 9], 3)
    assert made.sums.tolist() == [[1, 0, 1], [1, 0, 1]]
    assert made.counts.tolist() == [[2, 0, 1], [2, 0, 1]]
    assert made.value == pytest.approx(4 / 6)
    assert made.over([9]).value == pytest.approx(2 / 3)


def test_draws_are_ratios_weighted_by_seed_and_image() -> None:
    """The matrix products give what a loop over resamples, seeds and images gives."""
    random = np.random.default_rng(1)
    counts = random.integers(0, 4, (3, 6)).astype(float)
    figure = Table((0, 1, 2), random.uniform(size=(3, 6)) * counts, counts)
    bootstrap = TwoWayBootstrap(6, resamples=50)
    draws = bootstrap._draws(figure)
    weights, images = bootstrap._seed_weights((0, 1, 2)), bootstrap._images
    assert (weights.sum(axis=1) == 2).all() and (images.sum(axis=1) == 6).all()
    for number in range(50):
        up = down = 0.0
        for seed in range(3):
            for image in range(6):
                weight = weights[number, seed] * images[number, image]
                up += weight * figure.sums[seed, image]
                down += weight * figure.counts[seed, image]
        assert draws[number] == pytest.approx(up / down)


def test_one_seed_leaves_the_images_alone_to_vary() -> None:
    values = np.array([[1.0, 0.0] * 50])
    estimate = TwoWayBootstrap(100).mean(grid(values))
    assert estimate.seeds == 1 and estimate.value == 0.5
    assert estimate.upper - estimate.lower == pytest.approx(2 * 1.96 * 0.05, rel=0.1)


def test_few_seeds_that_differ_widen_the_interval_to_their_standard_error() -> None:
    """Three seeds at 0.4, 0.5, 0.6 with no other variation: the draws' deviation is s / sqrt 3."""
    values = np.repeat([[0.4], [0.5], [0.6]], 200, axis=1)
    bootstrap = TwoWayBootstrap(200, resamples=40_000)
    draws = bootstrap._draws(grid(values))
    assert draws.std() == pytest.approx(0.1 / np.sqrt(3), rel=0.02)


def test_a_share_of_one_is_not_certain() -> None:
    estimate = TwoWayBootstrap(30).mean(grid(np.ones((3, 30))))
    assert estimate.upper == 1.0 and estimate.lower == pytest.approx(0.025 ** (1 / 30))


def test_differences_are_paired_over_common_seeds_and_the_same_draws() -> None:
    random = np.random.default_rng(0)
    base = random.uniform(size=(5, 80)) < 0.6
    left, right = grid(base * 1.0), grid(base * 1.0)
    same = TwoWayBootstrap(80).difference([left], [right])
    assert same == Estimate(0.0, 0.0, 0.0, 5, 400.0, 1.0)
    few = Table((2, 3, 9), right.sums[:3], right.counts[:3])
    partly = TwoWayBootstrap(80).difference([left], [few])
    assert partly is not None and partly.seeds == 2
    assert TwoWayBootstrap(80).difference([left], [Table((8,), few.sums, few.counts)]) is None


def test_a_mean_of_rows_is_compared_with_a_mean_of_rows() -> None:
    def flat(value: float) -> Table:
        return grid(np.full((3, 10), value))

    effect = TwoWayBootstrap(10).difference([flat(0.6), flat(0.8)], [flat(0.5)])
    assert effect is not None and effect.value == pytest.approx(0.2)
    assert effect.p == pytest.approx(2 / 10_001)


@pytest.mark.parametrize(
    ("seed_spread", "image_spread", "noise"),
    [(0.0, 0.2, 0.2), (0.03, 0.2, 0.2), (0.03, 0.0, 0.25), (0.0, 0.0, 0.4)],
)
@pytest.mark.parametrize("seeds", [3, 5])
def test_intervals_cover_the_truth_at_least_as_often_as_they_say(
    seeds: int, seed_spread: float, image_spread: float, noise: float
) -> None:
    """Simulated studies with known truth: 95 % intervals hold it 93 % of the time or more.

    With 300 simulations the standard error of a true 95 % is 1.3 points.
    """
    random = np.random.default_rng(seeds)
    bootstrap = TwoWayBootstrap(100, resamples=1000)
    hits = 0
    for _ in range(300):
        values = (
            0.5
            + random.normal(0, seed_spread, (seeds, 1))
            + random.normal(0, image_spread, (1, 100))
            + random.normal(0, noise, (seeds, 100))
        )
        estimate = bootstrap.mean(grid(values))
        hits += estimate.lower <= 0.5 <= estimate.upper
    assert hits / 300 >= 0.925


def test_without_an_effect_few_comparisons_are_called_one(tmp_path: Path) -> None:
    """Twenty pairs of equal rows in a study: after Holm none differs; alone at most three do."""
    rows = [(Row(f"row_{n}", "baseline", "", "rest"), Plan(spread=0.015)) for n in range(40)]
    evidence = Factory(images=50).write(tmp_path, rows)
    measures = measure(evidence, "test")
    bootstrap = TwoWayBootstrap(measures.images, resamples=4000)
    found = [
        bootstrap.difference(
            [measures.rows[f"row_{n}"]["accuracy"]], [measures.rows[f"row_{n + 20}"]["accuracy"]]
        )
        for n in range(20)
    ]
    values = [estimate.p for estimate in found if estimate and estimate.p is not None]
    assert len(values) == 20
    assert sum(p < 0.05 for p in values) <= 3
    assert min(holm(values)) > 0.05


def test_planted_effects_are_found(tmp_path: Path) -> None:
    rows = [
        (Row("full", "baseline", "", "rest"), Plan(medium=0.8, hard=0.3, follows=0.2)),
        (Row("supervised", "baseline", "", "rest"), Plan(medium=0.65, hard=0.1, follows=0.95)),
    ]
    measures = measure(Factory(images=100).write(tmp_path, rows), "test")
    bootstrap = TwoWayBootstrap(measures.images)

    def difference(figure: str) -> Estimate:
        found = bootstrap.difference(
            [measures.rows["full"][figure]], [measures.rows["supervised"][figure]]
        )
        assert found is not None
        return found

    assert difference("accuracy").lower > 0.05
    assert difference("medium").lower > 0
    assert difference("hard").lower > 0.1
    assert difference(FOLLOWED).upper < -0.3
    assert difference("easy").lower < 0 < difference("easy").upper
    assert difference(ABANDONED).value == pytest.approx(-difference("easy").value)
    full = {name: bootstrap.mean(made) for name, made in measures.rows["full"].items()}
    assert full["easy"].value == pytest.approx(0.95, abs=0.03)
    assert full["sampled"].value < full["accuracy"].value
    assert full["triage"].value == pytest.approx(0.85, abs=0.05)
    panel = {name: measures.rows[name]["accuracy"].value for name in (MAJORITY, BEST, ANY)}
    assert panel[MAJORITY] == pytest.approx(1 / 3, abs=0.04)  # right on easy cases alone
    assert panel[ANY] == pytest.approx(2 / 3, abs=0.04)
    assert panel[MAJORITY] < panel[BEST] < panel[ANY]
    assert sum(made.value for made in measures.tiers.values()) == pytest.approx(1)
    assert measures.rows[MAJORITY]["easy"].value == 1 and measures.rows[MAJORITY]["hard"].value == 0
