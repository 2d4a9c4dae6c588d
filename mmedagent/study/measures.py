"""From decisions to figures: every row's accuracies, rates of trust and routing, as tables.

Tiers come from gold and from what the panel said in that seed under the trained triage, so that
all rows of a seed are compared on the same cases. Nothing here is seen by a model.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmedagent.consultation.vote import count_votes
from mmedagent.evaluation.trust import abandoned_right, consensus, followed_wrong, letter_array
from mmedagent.study.folder import Evidence
from mmedagent.study.schema import NO_LETTER, Cell, Decisions, Shared
from mmedagent.study.statistics import Array, Table, table

MAJORITY, BEST, ANY = "panel_majority", "best_specialist", "any_specialist"
DERIVED = {
    MAJORITY: "panel majority",
    BEST: "best specialist",
    ANY: "any specialist right (a bound, no system)",
}
"""Rows that the page computes from what a seed's cells share."""
TIERS = ("easy", "medium", "hard")
FAMILIAR, NEW = "familiar", "new"
"""Cases of sources that a doctor was trained on, and of others."""
LAST = "hard"
"""The last of the three stages, whatever it trains on."""
FOLLOWED, ABANDONED = "followed_wrong", "abandoned_right"
AGREED = "agreed_right"
"""Of the panel's vote: how often it is right where all specialists agree."""
Letters = NDArray[np.str_]


@dataclass(frozen=True)
class Measures:
    """All tables of one pool: row -> figure -> table.

    Figures: `accuracy`, `sampled`, `triage`, `triage|<specialty>`, `followed_wrong`,
    `abandoned_right`, `agreed_right` (the vote's), `familiar`, `new`, each tier's name, and
    `<stage>|<accuracy or tier>` after each stage. A figure that a row does not have is absent.
    """

    pool: str
    images: int
    cases: int
    rows: Mapping[str, Mapping[str, Table]]
    tiers: Mapping[str, Table]
    """Each tier's share of the cases."""

    def find(self, row: str, figure: str) -> Table | None:
        """Return a row's figure, None where there is none."""
        return self.rows.get(row, {}).get(figure)


def measure(evidence: Evidence, pool: str) -> Measures:
    """Return every figure of `pool`."""
    cases = evidence.pools[pool]
    clusters = np.asarray(cases.clusters, dtype=np.int64)
    size = int(clusters.max()) + 1
    seen = {seed: _Seen(shared, evidence, pool) for seed, shared in evidence.shared.items()}
    rows: dict[str, dict[str, Table]] = {}

    def collect(name: str, by_seed: Mapping[int, Mapping[str, Array]]) -> None:
        seeds = sorted(by_seed)
        figures = [f for f in by_seed[seeds[0]] if all(f in by_seed[s] for s in seeds)]
        rows[name] = {}
        for figure in figures:
            made = table([by_seed[s][figure] for s in seeds], clusters, seeds, size)
            if made.counts.sum():
                rows[name][figure] = made

    for name, cells in evidence.cells.items():
        own = {s: dict(_cell_values(c, pool, seen[s])) for s, c in cells.items() if s in seen}
        if own:
            collect(name, own)
    if seen:
        for name in DERIVED:
            collect(name, {seed: dict(_derived_values(name, s)) for seed, s in seen.items()})
    tiers = {
        tier: table([(s.tier == tier) * 1.0 for s in seen.values()], clusters, [*seen], size)
        for tier in TIERS
    }
    return Measures(pool, size, cases.size, rows, tiers)


class _Seen:
    """What one seed's panel said of a pool, beside gold."""

    def __init__(self, shared: Shared, evidence: Evidence, pool: str) -> None:
        cases, said = evidence.pools[pool], shared.pools[pool]
        self.gold = letter_array(cases.gold)
        self.familiar = np.array(cases.familiar, dtype=bool)
        self.specialty = np.array(cases.specialty, dtype=object)
        self.role = said.role
        self.best = letter_array(said.opinions[shared.best_specialist])
        self.opinions = [letter_array(letters) for letters in said.opinions.values()]
        right = np.stack([letters == self.gold for letters in self.opinions])
        self.any: NDArray[np.bool_] = np.asarray(right.any(axis=0))
        self.tier = np.where(right.all(axis=0), "easy", np.where(self.any, "medium", "hard"))


def _cell_values(cell: Cell, pool: str, seen: _Seen) -> Iterator[tuple[str, Array]]:
    """Yield (figure, values [cases]), NaN where a case does not count for it."""
    decided = cell.pools[pool]
    yield from _decision_values(letter_array(decided.greedy), seen, _heard(decided, seen))
    if decided.sampled:
        drawn = np.stack([letter_array(letters) == seen.gold for letters in decided.sampled])
        shares: Array = drawn.mean(axis=0)
        yield "sampled", shares
    yield from _routed(decided.role or seen.role, seen)
    for stage, after in cell.stages.items():
        if pool in after:
            letters = letter_array(after[pool].greedy)
            yield from _by_tier(f"{stage}|", letters == seen.gold, seen)
    if cell.stages:
        yield from _by_tier(f"{LAST}|", letter_array(decided.greedy) == seen.gold, seen)


def _derived_values(name: str, seen: _Seen) -> Iterator[tuple[str, Array]]:
    if name == ANY:
        yield "accuracy", seen.any.astype(np.float64)
        return
    letters = seen.best if name == BEST else majority(seen.opinions)
    if name == MAJORITY:
        agreed = consensus(seen.opinions)
        yield AGREED, np.where(agreed == NO_LETTER, np.nan, agreed == seen.gold)
    yield from _decision_values(letters, seen, seen.opinions)


def _decision_values(
    letters: Letters, seen: _Seen, heard: Sequence[Letters]
) -> Iterator[tuple[str, Array]]:
    right = letters == seen.gold
    yield from _by_tier("", right, seen)
    yield FAMILIAR, np.where(seen.familiar, right, np.nan)
    yield NEW, np.where(seen.familiar, np.nan, right)
    yield FOLLOWED, followed_wrong(letters, seen.gold, heard)
    yield ABANDONED, abandoned_right(letters, seen.gold, heard)


def _by_tier(prefix: str, right: NDArray[np.bool_], seen: _Seen) -> Iterator[tuple[str, Array]]:
    values = right.astype(np.float64)
    yield f"{prefix}accuracy", values
    for tier in TIERS:
        yield f"{prefix}{tier}", np.where(seen.tier == tier, values, np.nan)


def majority(opinions: Sequence[Letters]) -> Letters:
    """Return the letter that most specialists chose; of tied ones the one named first."""
    read = ([None if o == NO_LETTER else str(o) for o in said] for said in opinions)
    ballots = zip(*read, strict=True)
    return letter_array(count_votes(cast).letter for cast in ballots)


def _heard(decided: Decisions, seen: _Seen) -> list[Letters]:
    if decided.opinions is None:
        return seen.opinions
    return [letter_array(letters) for letters in decided.opinions.values()]


def _routed(role: Sequence[str | None], seen: _Seen) -> Iterator[tuple[str, Array]]:
    pairs = zip(role, seen.specialty, strict=True)
    right = np.array([named == gold for named, gold in pairs], dtype=np.float64)
    yield "triage", right
    for specialty in dict.fromkeys(seen.specialty):
        yield f"triage|{specialty}", np.where(seen.specialty == specialty, right, np.nan)
