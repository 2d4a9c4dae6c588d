"""Pairs of nearly equal hashes among a million, without comparing all pairs.

The pigeonhole: when 256 bits are cut into `m` bands and two hashes differ in at most `d` bits, one
band differs in at most `d // m`. With d = 20 and 21 bands one band is equal; with 11 bands one is
equal but for at most one bit, which is found by leaving each of its bits out in turn. So candidates
are hashes that share a key, found by sorting, and each candidate is measured: the result is exact
(Norouzi, Punjani, Fleet: Fast Search in Hamming Space with Multi-Index Hashing, CVPR 2012).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmedagent.cases.perceptual import HASH_BYTES

BITS = 8 * HASH_BYTES
_FEW = 30_000
"""Up to so many hashes short bands are quicker, above it long ones: their keys are rarer."""
_LONGEST_KEY = 32
_BLOCK = 1 << 18
_MOST_PAIRS = 200_000


@dataclass
class NearPairs:
    """What a search found."""

    pairs: npt.NDArray[np.int64]
    """[n, 3]: two rows of the hashes, the smaller one first, and in how many bits they differ."""
    crowded: npt.NDArray[np.int64]
    """Rows that were in a bucket larger than `max_crowd`: not compared through that bucket."""
    cut: bool
    """Whether there were more than `most` pairs, and only the first ones are here."""


def near_pairs(
    hashes: npt.NDArray[np.uint8],
    pools: npt.NDArray[np.uint8],
    bits: int,
    max_crowd: int,
    most: int = _MOST_PAIRS,
    few: int = _FEW,
) -> NearPairs:
    """Return all pairs of rows that differ in at most `bits` bits and lie in different pools.

    `hashes` is [n, 32] bytes, packed; `pools` [n] has a bit for each pool that the row occurs in. A
    pair counts when together its rows occur in two pools or more. Exact as long as no bucket is
    larger than `max_crowd` and there are at most `most` pairs. Needs about 100 bytes a row.
    """
    words = np.ascontiguousarray(hashes).view(np.uint64).reshape(len(hashes), BITS // 64)
    found = [np.zeros(0, dtype=np.uint64)]
    held, cut = 0, False
    crowded = np.zeros(len(hashes), dtype=bool)
    for keys in _keys(hashes, bits, few):
        for left, right in _sharing(keys, pools, max_crowd, crowded):
            near = np.bitwise_count(words[left] ^ words[right]).sum(axis=1) <= bits
            low, high = np.minimum(left, right)[near], np.maximum(left, right)[near]
            found.append((low.astype(np.uint64) << np.uint64(32)) | high.astype(np.uint64))
            held += len(low)
            if held > 10 * most:
                found, cut = _compact(found, most, cut)
                held = len(found[0])
    found, cut = _compact(found, most, cut)
    low = (found[0] >> np.uint64(32)).astype(np.int64)
    high = (found[0] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    distance = np.bitwise_count(words[low] ^ words[high]).sum(axis=1, dtype=np.int64)
    return NearPairs(np.stack([low, high, distance], axis=1), np.flatnonzero(crowded), cut)


def _compact(
    found: list[npt.NDArray[np.uint64]], most: int, cut: bool
) -> tuple[list[npt.NDArray[np.uint64]], bool]:
    pairs = np.unique(np.concatenate(found))
    return [pairs[:most]], cut or len(pairs) > most


def bands_of(hashes: npt.NDArray[np.uint8], count: int) -> list[npt.NDArray[np.int64]]:
    """Return `count` disjoint lists of bit numbers that hold all 256, alike in what they tell.

    Bits that are nearly always 0 or 1 tell little; the telling ones are dealt out evenly, or one
    band would put half of all images into one bucket. Any cut keeps the search exact.
    """
    sample = hashes[:: max(1, len(hashes) // 20_000)]
    ones = np.unpackbits(sample, axis=1).mean(axis=0) if len(sample) else np.full(BITS, 0.5)
    order = np.argsort(np.abs(ones - 0.5), kind="stable")
    return [np.sort(order[start::count]) for start in range(count)]


def _keys(hashes: npt.NDArray[np.uint8], bits: int, few: int) -> Iterator[npt.NDArray[np.uint64]]:
    """Yield keys, [n] each: hashes that differ in at most `bits` bits share one of them."""
    exact = len(hashes) <= few or bits < 2
    count = min(BITS, bits + 1 if exact else bits // 2 + 1)
    for band in bands_of(hashes, count):
        # A long band tells more than its first 32 bits need to: a shorter key only adds candidates.
        band = band[:_LONGEST_KEY]
        key = np.zeros(len(hashes), dtype=np.uint64)
        for place, bit in enumerate(band):
            value = (hashes[:, bit >> 3] >> np.uint8(7 - (bit & 7))) & np.uint8(1)
            key |= value.astype(np.uint64) << np.uint64(place)
        if exact:
            yield key
        else:
            for place in range(len(band)):
                yield key & ~np.uint64(1 << place)


def _sharing(
    keys: npt.NDArray[np.uint64],
    pools: npt.NDArray[np.uint8],
    max_crowd: int,
    crowded: npt.NDArray[np.bool_],
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Yield candidates as two lists of rows; mark rows of crowds, which are left out."""
    # One sort of key and row in one number; keys have at most 32 bits, rows as many.
    packed = np.sort((keys << np.uint64(32)) | np.arange(len(keys), dtype=np.uint64))
    rows = (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)
    key = packed >> np.uint64(32)
    starts = np.flatnonzero(np.concatenate([np.ones(min(1, len(key)), bool), key[1:] != key[:-1]]))
    lengths = np.diff(np.append(starts, len(key)))
    for run in np.flatnonzero(lengths > max_crowd):
        crowded[rows[starts[run] : starts[run] + lengths[run]]] = True
    left_in_run = np.repeat(starts + lengths, lengths) - np.arange(len(key)) - 1
    alive = np.flatnonzero((left_in_run > 0) & (np.repeat(lengths, lengths) <= max_crowd))
    shift = 1
    while len(alive):
        for start in range(0, len(alive), _BLOCK):
            block = alive[start : start + _BLOCK]
            left, right = rows[block], rows[block + shift]
            together = pools[left] | pools[right]
            apart = (together & (together - np.uint8(1))) != 0
            if apart.any():
                yield left[apart], right[apart]
        shift += 1
        alive = alive[left_in_run[alive] >= shift]
