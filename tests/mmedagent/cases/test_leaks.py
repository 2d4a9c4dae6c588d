"""The same picture in two pools is found, however it was encoded."""

import io

import numpy as np
from PIL import Image

from mmedagent.cases.leaks import leaks
from mmedagent.digests import digest_bytes
from tests.mmedagent.cases.examples import noise

BITS = 20


def _find(*placed: tuple[str, bytes]) -> list[tuple[str | None, str | None]]:
    records = [
        {"case_id": f"case-{n}", "pool": pool, "image_digest": digest_bytes(data)}
        for n, (pool, data) in enumerate(placed)
    ]
    return leaks(records, {digest_bytes(data): data for _, data in placed}, BITS)


def _again(data: bytes, size: int, format: str) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").resize((size, size)).save(buffer, format)
    return buffer.getvalue()


def test_the_same_bytes_in_two_pools() -> None:
    assert _find(("train", noise(1)), ("test", noise(1)), ("test", noise(2))) == [
        ("case-1", None),
        ("case-0", None),
        (None, None),
    ]


def test_the_same_picture_encoded_anew_or_scaled() -> None:
    picture = noise(1, 84)
    for copy in (_again(picture, 84, "JPEG"), _again(picture, 60, "PNG")):
        found = _find(("train", picture), ("test", copy))
        assert found == [(None, "case-1"), (None, "case-0")]


def test_inside_one_pool_nothing_leaks() -> None:
    picture = noise(1, 84)
    assert _find(("train", picture), ("train", _again(picture, 84, "JPEG"))) == [(None, None)] * 2


def test_different_pictures_do_not_leak() -> None:
    placed = [(pool, noise(n, 84)) for n, pool in enumerate(["train", "test"] * 40)]
    assert not any(np.ravel(_find(*placed)))


def test_a_picture_that_does_not_decode_is_left_to_another_check() -> None:
    records = [{"case_id": "a", "pool": "train", "image_digest": "x"}]
    assert leaks(records, {}, BITS) == [(None, None)]
