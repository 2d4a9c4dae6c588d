"""The search for near pairs finds what comparing all pairs finds."""

import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmedagent.cases.banding import BITS, bands_of, near_pairs

Hashes = npt.NDArray[np.uint8]


def _all_pairs(hashes: Hashes, pools: Hashes, bits: int) -> list[list[int]]:
    loose = np.unpackbits(hashes, axis=1).astype(np.int64)
    found = []
    for one in range(len(hashes)):
        for two in range(one + 1, len(hashes)):
            distance = int(np.sum(loose[one] != loose[two]))
            if distance <= bits and bin(pools[one] | pools[two]).count("1") > 1:
                found.append([one, two, distance])
    return found


def _clusters(seed: int, count: int, bits: int, telling: int) -> tuple[Hashes, Hashes]:
    """Hashes in clusters about as wide as the threshold; only `telling` bits vary at all."""
    draw = np.random.default_rng(seed)
    varying = draw.permutation(BITS)[:telling]
    centres = np.zeros((max(1, count // 6), BITS), dtype=np.uint8)
    centres[:, varying] = draw.integers(0, 2, (len(centres), telling))
    loose = centres[draw.integers(0, len(centres), count)]
    for row in loose:
        flipped = draw.permutation(varying)[: draw.integers(0, min(telling, bits + 3) + 1)]
        row[flipped] ^= 1
    pools = (1 << draw.integers(0, 5, count)).astype(np.uint8)
    return np.packbits(loose, axis=1), pools


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 60),
    bits=st.integers(0, 40),
    telling=st.integers(1, BITS),
    few=st.sampled_from([0, 10**9]),
)
def test_it_is_exact(seed: int, count: int, bits: int, telling: int, few: int) -> None:
    hashes, pools = _clusters(seed, count, bits, telling)
    found = near_pairs(hashes, pools, bits, max_crowd=1000, few=few)
    assert found.pairs.tolist() == _all_pairs(hashes, pools, bits)
    assert not len(found.crowded) and not found.cut


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 300), seen=st.integers(0, 50))
def test_bands_hold_every_bit_once(seed: int, count: int, seen: int) -> None:
    hashes = np.random.default_rng(seed).integers(0, 256, (seen, 32), dtype=np.uint8)
    bands = bands_of(hashes, min(count, BITS))
    assert sorted(np.concatenate(bands).tolist()) == list(range(BITS))
    lengths = [len(band) for band in bands]
    assert max(lengths) - min(lengths) <= 1


def test_a_crowd_is_left_out_and_named() -> None:
    hashes = np.random.default_rng(0).integers(0, 256, (60, 32), dtype=np.uint8)
    hashes[:40] = hashes[0]
    pools = np.array([1, 2] * 30, dtype=np.uint8)
    found = near_pairs(hashes, pools, bits=5, max_crowd=20)
    assert set(range(40)) <= set(found.crowded.tolist())
    assert not [pair for pair in found.pairs.tolist() if pair[0] < 40]


@pytest.mark.parametrize("most", [1, 7])
def test_too_many_pairs_are_cut_and_said(most: int) -> None:
    hashes = np.zeros((60, 32), dtype=np.uint8)
    pools = np.array([1, 2] * 30, dtype=np.uint8)
    found = near_pairs(hashes, pools, bits=5, max_crowd=100, most=most)
    assert len(found.pairs) == most and found.cut
    assert found.pairs[0].tolist() == [0, 1, 0]


@pytest.mark.slow
def test_many_hashes_take_seconds() -> None:
    draw = np.random.default_rng(0)
    hashes = draw.integers(0, 256, (300_000, 32), dtype=np.uint8)
    hashes[1::1000] = hashes[0::1000]
    pools = (1 << draw.integers(0, 5, len(hashes))).astype(np.uint8)
    began = time.process_time()
    found = near_pairs(hashes, pools, bits=20, max_crowd=4000)
    apart = pools[0::1000] != pools[1::1000]
    assert len(found.pairs) == int(apart.sum())
    # Comparing all pairs would take 45 thousand million comparisons: minutes.
    assert time.process_time() - began < 40
