import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mmedagent.evaluation.bootstrap import ClusteredBootstrap


def _one(values, clusters, resamples=4000, seed=0, confidence=0.95):
    bootstrap = ClusteredBootstrap(clusters, resamples, seed, confidence)
    bootstrap.add("x", clusters, values)
    bootstrap.run()
    return bootstrap.mean("x")


def test_unclustered_intervals_equal_scipys():
    values = (np.random.default_rng(3).random(200) < 0.7).astype(float)
    ours = _one(values, [str(n) for n in range(200)], resamples=20_000)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    )
    assert ours.value == pytest.approx(values.mean())
    assert ours.lower == pytest.approx(theirs.confidence_interval.low, abs=0.006)
    assert ours.upper == pytest.approx(theirs.confidence_interval.high, abs=0.006)
    assert ours.standard_error == pytest.approx(theirs.standard_error, rel=0.05)


def test_paired_difference_equals_scipys_paired_bootstrap():
    random = np.random.default_rng(5)
    first = (random.random(150) < 0.7).astype(float)
    second = np.where(random.random(150) < 0.8, first, 1 - first)
    names = [str(n) for n in range(150)]
    bootstrap = ClusteredBootstrap(names, 20_000, 0, 0.95)
    bootstrap.add("a", names, first)
    bootstrap.add("b", names, second)
    bootstrap.run()
    ours = bootstrap.difference("a", "b")
    theirs = stats.bootstrap(
        (first, second),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(1),
    )
    assert ours.lower == pytest.approx(theirs.confidence_interval.low, abs=0.008)
    assert ours.upper == pytest.approx(theirs.confidence_interval.high, abs=0.008)


def test_clustered_intervals_cover_where_unclustered_ones_do_not():
    random = np.random.default_rng(0)
    covered = {"clustered": 0, "alone": 0}
    rounds = 200
    for _ in range(rounds):
        rates = random.beta(1, 1, size=60)  # all questions of an image share its difficulty
        clusters = np.repeat(np.arange(60), 6)
        values = (random.random(360) < rates[clusters]).astype(float)
        clustered = _one(values, [str(c) for c in clusters], resamples=400)
        alone = _one(values, [str(n) for n in range(360)], resamples=400)
        covered["clustered"] += clustered.lower <= 0.5 <= clustered.upper
        covered["alone"] += alone.lower <= 0.5 <= alone.upper
    assert covered["clustered"] / rounds > 0.89
    assert covered["alone"] / rounds < 0.85


def test_all_right_is_not_certain():
    estimate = _one([1.0] * 12, [str(n) for n in range(12)])
    exact = stats.binomtest(12, 12).proportion_ci(0.95, method="exact")
    assert (estimate.lower, estimate.upper) == pytest.approx((exact.low, exact.high))
    nothing = _one([0.0] * 12, [str(n) for n in range(12)])
    assert nothing.upper == pytest.approx(1 - exact.low)


def test_macro_is_the_mean_over_groups():
    clusters = [str(n) for n in range(40)]
    bootstrap = ClusteredBootstrap(clusters, 500, 0, 0.95)
    bootstrap.add("large", clusters[:30], [1.0] * 15 + [0.0] * 15)
    bootstrap.add("small", clusters[30:], [1.0] * 9 + [0.0])
    bootstrap.run()
    macro = bootstrap.macro(["large", "small"])
    assert macro.value == pytest.approx(0.7)
    assert macro.lower < 0.7 < macro.upper
    assert (macro.n, macro.clusters) == (40, 40)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=60),
    st.integers(0, 10_000),
)
def test_every_estimate_is_ordered_within_bounds_and_repeatable(rows, seed):
    clusters = [str(cluster) for cluster, _ in rows]
    values = [float(value) for _, value in rows]
    estimate = _one(values, clusters, resamples=200, seed=seed)
    assert 0 <= estimate.lower <= estimate.upper <= 1
    assert estimate.value == pytest.approx(np.mean(values))
    assert estimate.clusters == len(set(clusters))
    assert estimate == _one(values, clusters, resamples=200, seed=seed)


def test_refuses_what_it_cannot_average():
    bootstrap = ClusteredBootstrap(["a"], 100, 0, 0.95)
    bootstrap.add("x", ["a"], [1.0])
    with pytest.raises(ValueError, match="twice"):
        bootstrap.add("x", ["a"], [1.0])
    with pytest.raises(ValueError, match="one value"):
        bootstrap.add("y", [], [])
    with pytest.raises(ValueError, match="at least one cluster"):
        ClusteredBootstrap([], 100, 0, 0.95)
