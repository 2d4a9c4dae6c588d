"""Intervals over seeds and images at once, differences from the same draws, Holm's correction.

A cell's accuracy varies with its seed (which moves every case together) and with the images that
happen to be measured (which every seed shares). Both are drawn with replacement, independently,
and a value counts as often as its seed was drawn times as often as its image was: the pigeonhole
bootstrap of Owen (2007), 'The pigeonhole bootstrap', Annals of Applied Statistics 1, 386-411.
Of S seeds S - 1 are drawn, which makes the variance over few seeds unbiased: Rao and Wu (1988),
'Resampling inference with complex survey data', JASA 83, 231-241. The interval covers what would
be seen with other seeds and other images of these sources, and with nothing else changed; Owen
shows, and a test here simulates, that it errs on the wide side where seed and image interact.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RESAMPLES = 10_000
CONFIDENCE = 0.95
_SEED = 20240601


@dataclass(frozen=True)
class Table:
    """The values of one figure, summed within each seed and image.

    `sums` and `counts`: [seeds, images]; the figure is total sum over total count.
    """

    seeds: tuple[int, ...]
    sums: Array
    counts: Array

    def over(self, seeds: Sequence[int]) -> "Table":
        """Return the table of some of its seeds."""
        rows = [self.seeds.index(seed) for seed in seeds]
        return Table(tuple(seeds), self.sums[rows], self.counts[rows])

    @property
    def value(self) -> float:
        """The figure; NaN when nothing counts."""
        total = self.counts.sum()
        return float(self.sums.sum() / total) if total else float("nan")


def table(
    values: Sequence[Array], clusters: NDArray[np.int64], seeds: Sequence[int], size: int
) -> Table:
    """Return the table of `values`: one array [cases] a seed, NaN where a case does not count.

    `clusters` [cases] is each case's image in 0..size-1.
    """
    sums, counts = np.zeros((len(seeds), size)), np.zeros((len(seeds), size))
    for row, own in enumerate(values):
        counted = ~np.isnan(own)
        sums[row] = np.bincount(clusters[counted], own[counted], size)
        counts[row] = np.bincount(clusters[counted], minlength=size)
    return Table(tuple(seeds), sums, counts)


@dataclass(frozen=True)
class Estimate:
    """A figure or a difference with its interval; shares of 1."""

    value: float
    lower: float
    upper: float
    seeds: int
    count: float
    """Values that it averages over (cases times seeds), of the first table."""
    p: float | None = None
    """Two-sided, of no difference; differences only."""


class TwoWayBootstrap:
    """One set of draws for a whole page: figures drawn from it are paired.

    Args:
        images: the number of images.
        resamples: draws.
        seed: of the draws.
        confidence: coverage of the percentile intervals.
    """

    def __init__(
        self,
        images: int,
        resamples: int = RESAMPLES,
        seed: int = _SEED,
        confidence: float = CONFIDENCE,
    ) -> None:
        random = np.random.default_rng(seed)
        drawn = random.multinomial(images, np.full(images, 1 / images), size=resamples)
        self._images = drawn.astype(np.float64)
        self._resamples, self._seed, self._confidence = resamples, seed, confidence
        self._seeds: dict[tuple[int, ...], Array] = {}

    def mean(self, figure: Table) -> Estimate:
        """Return a share of 1 with its interval.

        Where all values agree (0 or 1) a bootstrap would claim certainty: the interval is then
        Clopper and Pearson's, at the number of images.
        """
        lower, upper = self._interval(self._draws(figure))
        value = figure.value
        if value in (0.0, 1.0):
            images = int((figure.counts.sum(axis=0) > 0).sum())
            slack = 1 - ((1 - self._confidence) / 2) ** (1 / images)
            lower, upper = (1 - slack, 1.0) if value == 1.0 else (0.0, slack)
        return Estimate(value, lower, upper, len(figure.seeds), float(figure.counts.sum()))

    def difference(self, left: Sequence[Table], right: Sequence[Table]) -> Estimate | None:
        """Return the mean of `left`'s figures minus the mean of `right`'s, paired.

        All are taken over the seeds that they have in common and see the same draws of seeds and
        images. None when they have no seed in common, or a figure has no value there.
        """
        tables = [*left, *right]
        common = [s for s in tables[0].seeds if all(s in other.seeds for other in tables)]
        if not common:
            return None
        shares = [1 / len(left)] * len(left) + [-1 / len(right)] * len(right)
        parts = [each.over(common) for each in tables]
        value = sum(share * part.value for share, part in zip(shares, parts, strict=True))
        if np.isnan(value):
            return None
        draws = np.zeros(self._resamples)
        for share, part in zip(shares, parts, strict=True):
            draws += share * self._draws(part)
        lower, upper = self._interval(draws)
        count = float(parts[0].counts.sum())
        return Estimate(float(value), lower, upper, len(common), count, _p_value(draws))

    def _draws(self, figure: Table) -> Array:
        """Return the figure in every resample, [resamples]; NaN where it had no value."""
        weights = self._seed_weights(figure.seeds)
        sums = ((self._images @ figure.sums.T) * weights).sum(axis=1)
        counts = ((self._images @ figure.counts.T) * weights).sum(axis=1)
        with np.errstate(invalid="ignore"):
            ratios: Array = sums / counts
        return ratios

    def _seed_weights(self, seeds: tuple[int, ...]) -> Array:
        if seeds not in self._seeds:
            size = len(seeds)
            random = np.random.default_rng([self._seed, *seeds])
            drawn = random.multinomial(
                max(1, size - 1), np.full(size, 1 / size), size=self._resamples
            )
            self._seeds[seeds] = drawn.astype(np.float64)
        return self._seeds[seeds]

    def _interval(self, draws: Array) -> tuple[float, float]:
        tail = (1 - self._confidence) / 2
        lower, upper = np.nanquantile(draws, [tail, 1 - tail])
        return float(lower), float(upper)


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values that hold for all of `values` together, in their order.

    Holm (1979), 'A simple sequentially rejective multiple test procedure': the k-th smallest of m
    is multiplied by m - k + 1, and none falls below a smaller one.
    """
    order = sorted(range(len(values)), key=lambda index: values[index])
    adjusted, least = [0.0] * len(values), 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = least
    return adjusted


def _p_value(draws: Array) -> float:
    """Return twice the share of draws on the other side of zero, counting the data as a draw."""
    kept = draws[~np.isnan(draws)]
    below, above = int((kept <= 0).sum()), int((kept >= 0).sum())
    return float(min(1.0, 2 * (1 + min(below, above)) / (1 + len(kept))))
