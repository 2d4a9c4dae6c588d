"""The perceptual hash is imagehash's, computed with less work."""

import io

import imagehash
import numpy as np
import pytest
from PIL import Image

from mmedagent.cases.perceptual import HASH_SIDE, perceptual_hash
from tests.mmedagent.cases.examples import noise


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
@pytest.mark.parametrize("size", [28, 64, 200])
def test_it_is_the_librarys(mode: str, size: int) -> None:
    for seed in range(5):
        image = Image.open(io.BytesIO(noise(seed, size))).convert(mode)
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        expected = np.asarray(imagehash.phash(image, hash_size=HASH_SIDE).hash).ravel()
        # Frequencies at the median itself may fall on either side by rounding.
        assert int(np.sum(perceptual_hash(buffer.getvalue()) != expected)) <= 1
