"""Images that two pools share: the same bytes, the same pixels, or nearly the same picture."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from mmedagent.cases.banding import NearPairs, near_pairs
from mmedagent.cases.facts import Facts
from mmedagent.cases.findings.finding import KEPT_CASES, Finding
from mmedagent.cases.perceptual import HASH_BYTES
from mmedagent.recipes.data import ValidationRecipe

_ALIKE = """
DROP TABLE IF EXISTS alike;
CREATE TABLE alike (one TEXT, two TEXT, bits INTEGER);
"""
_LISTED_PICTURES = 16
"""Of images with one and the same hash so many are paired with those of another."""
_MOST_POOLS = 8
_USABLE = "NOT constant AND spread >= ?"
"""The hash of a constant image is noise, that of a blank one is little else: both kinds are
reported as what they are, and kept out of the search."""


def same_images(facts: Facts) -> Iterator[Finding]:
    """Yield the images whose bytes occur in two pools."""
    rows = facts.rows(
        "SELECT digest, position, shown.pool, case_id FROM shown JOIN cases USING (position)"
        " WHERE NOT shown.constant AND digest IN"
        " (SELECT digest FROM picture_pools GROUP BY digest HAVING COUNT(*) > 1)"
        " ORDER BY digest, position"
    )
    for digest, group in groupby(rows, key=lambda row: row[0]):
        members = _Members()
        for _, position, pool, case_id in group:
            members.add(position, str(pool), str(case_id))
        yield Finding(
            "same_image",
            (digest, *sorted(members.first)),
            f"one image in the pools {members.pools}",
            tuple((position, members.elsewhere(pool)) for position, pool in members.kept),
            members.count,
            (digest,),
        )


class _Members:
    """The cases that show a picture: all are counted, the first of each pool are kept."""

    def __init__(self) -> None:
        self.first: dict[str, str] = {}
        self.kept: list[tuple[int, str]] = []
        self.count = 0

    def add(self, position: int, pool: str, case_id: str) -> None:
        self.first.setdefault(pool, case_id)
        self.count += 1
        if len(self.kept) < KEPT_CASES:
            self.kept.append((position, pool))

    @property
    def pools(self) -> str:
        return ", ".join(sorted(self.first))

    def elsewhere(self, pool: str) -> str:
        """Return the first case of another pool."""
        return next(case for other, case in self.first.items() if other != pool)


def same_pixels(facts: Facts) -> Iterator[Finding]:
    """Yield images that differ in bytes and not in pixels, and lie in two pools."""
    rows = facts.rows(
        "SELECT pixels, digest FROM pictures WHERE NOT constant AND pixels IN"
        " (SELECT pixels FROM pictures GROUP BY pixels HAVING COUNT(*) > 1)"
        " ORDER BY pixels, digest"
    )
    for _, group in groupby(rows, key=lambda row: row[0]):
        digests = [digest for _, digest in group][:_LISTED_PICTURES]
        for number, one in enumerate(digests):
            for two in digests[number + 1 :]:
                yield from _pair(facts, "same_pixels", one, two, 0)


def near_duplicates(facts: Facts, recipe: ValidationRecipe) -> Iterator[Finding]:
    """Yield pairs of images of two pools whose hashes differ in few bits, and crowds left out.

    Images of equal hash are searched for once. All pairs of a million images take some tens of
    seconds and 200 MB (`banding`).
    """
    hashes, pools, order = _load(facts, recipe)
    distinct, group_of = _distinct(hashes)
    masks = np.zeros(len(distinct), dtype=np.uint8)
    np.bitwise_or.at(masks, group_of, pools)
    found = near_pairs(distinct, masks, recipe.near_duplicate_bits, recipe.max_crowd)
    members = _Groups(facts, order, group_of, len(distinct))
    for group in np.flatnonzero((masks & (masks - np.uint8(1))) != 0):
        alike = members.of(int(group))
        for number, one in enumerate(alike):
            for two in alike[number + 1 :]:
                yield from _pair(facts, "near_duplicate", one, two, 0)
    for left, right, bits in found.pairs.tolist():
        for one in members.of(left):
            for two in members.of(right):
                yield from _pair(facts, "near_duplicate", one, two, bits)
    yield from _crowd(found, members)


def _load(
    facts: Facts, recipe: ValidationRecipe
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the usable images' hashes [n, 32], the bits of their pools [n], their rowids [n]."""
    total = facts.one(f"SELECT COUNT(*) FROM pictures WHERE {_USABLE}", (recipe.blank_spread,))
    hashes = np.zeros((total, HASH_BYTES), dtype=np.uint8)
    pools = np.zeros(total, dtype=np.uint8)
    order = np.zeros(total, dtype=np.int64)
    names = [pool for (pool,) in facts.rows("SELECT DISTINCT pool FROM picture_pools ORDER BY 1")]
    # An unknown pool is named by the expectation suite; more than eight share the last bit.
    bit = {pool: 1 << min(number, _MOST_POOLS - 1) for number, pool in enumerate(names)}
    rows = facts.rows(
        "SELECT pictures.rowid, phash, pool FROM pictures JOIN picture_pools USING (digest)"
        f" WHERE {_USABLE} ORDER BY pictures.rowid",
        (recipe.blank_spread,),
    )
    place = -1
    for rowid, phash, pool in rows:
        if place < 0 or order[place] != rowid:
            place += 1
            order[place] = rowid
            hashes[place] = np.frombuffer(phash, dtype=np.uint8)
        pools[place] |= bit[pool]
    return hashes, pools, order


def _distinct(
    hashes: npt.NDArray[np.uint8],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the distinct hashes, and of each row the number of its own."""
    whole = np.ascontiguousarray(hashes).view(f"V{HASH_BYTES}").ravel()
    distinct, group_of = np.unique(whole, return_inverse=True)
    return distinct.view(np.uint8).reshape(-1, HASH_BYTES), group_of.astype(np.int64)


class _Groups:
    """The images of each distinct hash."""

    def __init__(
        self,
        facts: Facts,
        order: npt.NDArray[np.int64],
        group_of: npt.NDArray[np.int64],
        count: int,
    ) -> None:
        self._facts, self._order = facts, order
        self._by_group = np.argsort(group_of, kind="stable")
        self._starts = np.searchsorted(group_of[self._by_group], np.arange(count + 1))

    def of(self, group: int) -> list[str]:
        """Return the digests of the first images that have the hash."""
        start, end = self._starts[group], self._starts[group + 1]
        places = self._by_group[start : min(end, start + _LISTED_PICTURES)]
        query = "SELECT digest FROM pictures WHERE rowid = ?"
        return [str(self._facts.one(query, (int(self._order[place]),))) for place in places]


def _pair(facts: Facts, kind: Any, one: str, two: str, bits: int) -> Iterator[Finding]:
    """Yield the finding that two images are alike, unless one pool holds all cases of both."""
    if kind == "near_duplicate" and _pixels(facts, one) == _pixels(facts, two):
        return  # found already, with certainty
    pools = {digest: _first_cases(facts, digest) for digest in (one, two)}
    cases = []
    for digest, other in ((one, two), (two, one)):
        for position, pool in facts.rows(
            "SELECT position, pool FROM shown WHERE digest = ? LIMIT ?", (digest, KEPT_CASES)
        ):
            elsewhere = [case for where, case in pools[other].items() if where != pool]
            if elsewhere:
                cases.append((position, elsewhere[0]))
    if not cases:
        return
    facts.execute("INSERT INTO alike VALUES (?, ?, ?)", [(one, two, bits)])
    said = "every pixel is equal" if kind == "same_pixels" else f"{bits} of 256 bits differ"
    names = sorted({*pools[one], *pools[two]})
    yield Finding(
        kind,
        tuple(sorted((one, two))),
        f"two images in the pools {', '.join(map(str, names))}: {said}",
        tuple(cases),
        images=(one, two),
    )


def _pixels(facts: Facts, digest: str) -> str:
    return str(facts.one("SELECT pixels FROM pictures WHERE digest = ?", (digest,)))


def _first_cases(facts: Facts, digest: str) -> Mapping[Any, str]:
    rows = facts.rows(
        "SELECT picture_pools.pool, case_id FROM picture_pools JOIN cases ON position = first"
        " WHERE digest = ?",
        (digest,),
    )
    return {pool: str(case_id) for pool, case_id in rows}


def _crowd(found: NearPairs, members: _Groups) -> Iterator[Finding]:
    if len(found.crowded):
        digests = [members.of(int(group))[0] for group in found.crowded[:8]]
        yield Finding(
            "crowded_hashes",
            ("crowded", *digests[:1]),
            f"{len(found.crowded)} images were not compared with all others",
            count=0,
            images=tuple(digests),
        )
    if found.cut:
        yield Finding(
            "crowded_hashes",
            ("cut",),
            f"more than {len(found.pairs)} pairs of images are nearly alike: only those are listed",
            count=0,
        )


def forget_alike(facts: Facts) -> None:
    """Begin the list of images that are alike anew: `hidden_cases` reads it."""
    facts.connection.executescript(_ALIKE)


def flat_images(facts: Facts, recipe: ValidationRecipe, constant: bool) -> Iterator[Finding]:
    """Yield the images of one value, or those with next to no contrast."""
    rows = facts.rows(
        "SELECT digest, spread FROM pictures WHERE constant = ? AND (constant OR spread < ?)",
        (int(constant), recipe.blank_spread),
    )
    for digest, spread in rows:
        shown = facts.rows(
            "SELECT DISTINCT position FROM shown WHERE digest = ? LIMIT ?", (digest, KEPT_CASES)
        )
        said = (
            "every pixel is the same"
            if constant
            else f"grey levels have a standard deviation of {spread:g} of 255"
        )
        count = facts.one("SELECT SUM(cases) FROM picture_pools WHERE digest = ?", (digest,))
        yield Finding(
            "constant_image" if constant else "blank_image",
            (digest,),
            said,
            tuple((position, said) for (position,) in shown),
            int(count),
            (digest,),
        )
