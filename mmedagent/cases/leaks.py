"""Images that occur in more than one pool: the same bytes, or nearly the same picture."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

HASH_SIDE = 16
"""A perceptual hash has 16 x 16 = 256 bits: phash of imagehash, which compares low frequencies."""
_BLOCK = 1024


def leaks(
    records: Sequence[Mapping[str, Any]], images: Mapping[str, bytes], bits: int
) -> list[tuple[str | None, str | None]]:
    """Return for each record the case of another pool that has the same and a nearly same image.

    `images` has the encoded image of each digest that decodes. Nearly the same: the perceptual
    hashes differ in at most `bits` of 256. None where there is no such case. Compares all pairs of
    distinct images, in blocks.
    """
    first: dict[str, dict[str, str]] = {}
    for record in records:
        if record["image_digest"] in images:
            first.setdefault(record["image_digest"], {}).setdefault(
                str(record["pool"]), str(record["case_id"])
            )
    near = _near(first, images, bits)
    found = []
    for record in records:
        digest, pool = record["image_digest"], str(record["pool"])
        same = [case for other, case in first.get(digest, {}).items() if other != pool]
        alike = [case for other, case in near.get((digest, pool), {}).items() if other != pool]
        found.append((same[0] if same else None, alike[0] if alike else None))
    return found


def _near(
    first: Mapping[str, Mapping[str, str]], images: Mapping[str, bytes], bits: int
) -> dict[tuple[str, str], dict[str, str]]:
    digests = list(first)
    if len(digests) < 2:
        return {}
    hashes = np.stack([perceptual_hash(images[digest]) for digest in digests]).astype(np.int32)
    found: dict[tuple[str, str], dict[str, str]] = {}
    for start in range(0, len(digests), _BLOCK):
        block = hashes[start : start + _BLOCK]
        distances = block @ (1 - hashes).T + (1 - block) @ hashes.T
        for row, column in np.argwhere(distances <= bits):
            one, other = digests[start + row], digests[column]
            if one == other:
                continue
            for pool in first[one]:
                for pool_there, case in first[other].items():
                    if pool_there != pool:
                        found.setdefault((one, pool), {})[pool_there] = case
    return found


def perceptual_hash(image: bytes) -> npt.NDArray[np.bool_]:
    """Return an encoded image's perceptual hash, [256] booleans."""
    import imagehash
    from PIL import Image

    with Image.open(io.BytesIO(image)) as opened:
        return np.asarray(imagehash.phash(opened, hash_size=HASH_SIDE).hash).ravel()
