"""Small valid data sets to break in one place."""

import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmedagent.cases.case import POOLS, Case, Pool
from mmedagent.cases.store import write_rows
from mmedagent.recipes.data import ValidationRecipe

OPTIONS = ("CT", "histology")
SPECIALTY = {"CT": "Radiologist", "histology": "Pathologist"}


def noise(seed: int, size: int = 32, format: str = "PNG") -> bytes:
    """An image that is like no other: smoothed noise."""
    draw = np.random.default_rng(seed)
    small = Image.fromarray(draw.integers(0, 255, (12, 12, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    small.resize((size, size), Image.Resampling.BICUBIC).save(buffer, format)
    return buffer.getvalue()


def bomb(width: int = 40_000, height: int = 40_000) -> bytes:
    """A PNG of a few bytes whose header claims 1.6 thousand million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\x00\x00\x00"
    data = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def example(number: int, pool: Pool = "train", **changes: Any) -> Case:
    """A valid case of its own subject."""
    modality = OPTIONS[number % 2]
    fields: dict[str, Any] = {
        "case_id": f"{pool}-{number}",
        "images": (noise(1000 * POOLS.index(pool) + number),),
        "question": "Which imaging modality is this?",
        "options": OPTIONS,
        "answer": modality,
        "question_type": "modality",
        "modality": modality,
        "specialty": SPECIALTY[modality],
        "source": "drawn",
        "subject": f"{pool}-{number}",
        "pool": pool,
    }
    return Case(**(fields | changes))


def data_set(each: int = 4) -> list[Case]:
    """`each` valid cases in every pool."""
    return [example(number, pool) for pool in POOLS for number in range(each)]


def row(case: Case, **changes: Any) -> dict[str, Any]:
    """The case as it is stored, with fields that `Case` would refuse."""
    fields = case.model_dump() | {"options": list(case.options)}
    fields["images"] = [{"bytes": image, "path": "image.png"} for image in case.images]
    if "image" in changes:
        changes["images"] = [{"bytes": changes.pop("image"), "path": "image.png"}]
    return fields | changes


Break = Callable[[list[dict[str, Any]]], None]


def broken(folder: Path, change: Break) -> Path:
    """A stored data version with its rows changed by `change`."""
    rows = [row(case) for case in data_set()]
    change(rows)
    write_rows(folder, "broken", rows)
    return folder


RECIPE = ValidationRecipe(max_imbalance=2.0, max_answer_share=0.9)
