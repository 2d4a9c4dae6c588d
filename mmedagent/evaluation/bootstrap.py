"""Clustered bootstrap: every figure of one table from one set of resamples, in a few matmuls.

Questions on one image are not independent, so whole clusters (images, or subjects) are drawn with
replacement and a figure is the ratio of summed values to summed counts: Efron and Tibshirani, 'An
Introduction to the Bootstrap' (1993), chapters 8 and 13; Field and Welsh, 'Bootstrapping clustered
data' (2007). Since all figures see the same draws, the difference of two of them is paired.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_BLOCK = 4_000_000
"""Cluster weights held at once: 32 MB."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval. Accuracies are shares of 1, not percent."""

    value: float
    lower: float
    upper: float
    n: int
    """Rows that the figure averages over."""
    clusters: int
    """Independent clusters among them."""
    standard_error: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a JSON-able dictionary."""
        return asdict(self)


class ClusteredBootstrap:
    """Collects named figures over the same clusters, then resamples them all together.

    Args:
        clusters: every cluster's label; the population that is drawn from.
        resamples: draws.
        seed: of the draws.
        confidence: coverage of the percentile intervals.
    """

    def __init__(
        self, clusters: Iterable[str], resamples: int, seed: int, confidence: float
    ) -> None:
        labels = sorted(set(clusters))
        if not labels:
            raise ValueError("a bootstrap needs at least one cluster")
        self._index = {label: number for number, label in enumerate(labels)}
        self._resamples, self._seed, self._confidence = resamples, seed, confidence
        self._sums: dict[str, Array] = {}
        self._counts: dict[str, Array] = {}
        self._draws: dict[str, Array] = {}

    def add(self, name: str, clusters: Sequence[str], values: Sequence[float]) -> None:
        """Add the mean of `values` (one a row, with the row's cluster) under `name`."""
        if name in self._sums:
            raise ValueError(f"the figure {name!r} was added twice")
        if len(clusters) != len(values) or not len(values):
            raise ValueError(f"the figure {name!r} needs one cluster a value, and one value")
        rows = np.fromiter((self._index[c] for c in clusters), dtype=np.int64, count=len(clusters))
        size = len(self._index)
        weights = np.asarray(values, dtype=np.float64)
        self._sums[name] = np.bincount(rows, weights, size).astype(np.float64)
        self._counts[name] = np.bincount(rows, minlength=size).astype(np.float64)

    def run(self) -> None:
        """Draw the resamples. Time and memory grow with resamples x (clusters + figures)."""
        names = list(self._sums)
        sums = np.stack([self._sums[name] for name in names], axis=1)
        counts = np.stack([self._counts[name] for name in names], axis=1)
        size = len(self._index)
        random = np.random.default_rng(self._seed)
        block = max(1, _BLOCK // size)
        ratios = np.empty((self._resamples, len(names)))
        for start in range(0, self._resamples, block):
            stop = min(start + block, self._resamples)
            drawn = random.multinomial(size, np.full(size, 1 / size), size=stop - start)
            weights = drawn.astype(np.float64)
            with np.errstate(invalid="ignore"):  # 0/0: a draw without any row of a small group
                ratios[start:stop] = (weights @ sums) / (weights @ counts)
        self._draws = {name: ratios[:, column] for column, name in enumerate(names)}

    def __contains__(self, name: str) -> bool:
        """Say whether a figure of that name was added."""
        return name in self._sums

    def mean(self, name: str) -> Estimate:
        """Return the figure `name`; it must lie in [0, 1] (an accuracy or another share)."""
        value = float(self._sums[name].sum() / self._counts[name].sum())
        clusters = int((self._counts[name] > 0).sum())
        lower, upper, error = self._interval(self._draws[name])
        if value in (0.0, 1.0):
            # All clusters alike: a bootstrap would claim certainty. Clopper-Pearson instead.
            slack = 1 - ((1 - self._confidence) / 2) ** (1 / clusters)
            lower, upper = (1 - slack, 1.0) if value == 1.0 else (0.0, slack)
        return Estimate(value, lower, upper, int(self._counts[name].sum()), clusters, error)

    def macro(self, names: Sequence[str]) -> Estimate:
        """Return the unweighted mean over several figures (a draw skips groups it lacks)."""
        values = [self._sums[name].sum() / self._counts[name].sum() for name in names]
        lower, upper, error = self._interval(
            np.nanmean(np.stack([self._draws[name] for name in names]), axis=0)
        )
        counts = np.sum([self._counts[name] for name in names], axis=0)
        return Estimate(
            float(np.mean(values)), lower, upper, int(counts.sum()), int((counts > 0).sum()), error
        )

    def difference(self, name: str, other: str) -> Estimate:
        """Return `name` minus `other`, paired: both from the same draws."""
        value = (
            self._sums[name].sum() / self._counts[name].sum()
            - self._sums[other].sum() / self._counts[other].sum()
        )
        lower, upper, error = self._interval(self._draws[name] - self._draws[other])
        clusters = int(((self._counts[name] + self._counts[other]) > 0).sum())
        return Estimate(float(value), lower, upper, int(self._counts[name].sum()), clusters, error)

    def _interval(self, draws: Array) -> tuple[float, float, float]:
        kept = draws[~np.isnan(draws)]
        tail = (1 - self._confidence) / 2
        lower, upper = np.quantile(kept, [tail, 1 - tail])
        return float(lower), float(upper), float(kept.std(ddof=1))
