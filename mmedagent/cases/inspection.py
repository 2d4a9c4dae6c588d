"""What one stored row is like: facts about its image and its question, one flat record a row.

Nothing here raises on a bad row: a problem becomes a value, so that validation can name every bad
row at once instead of stopping at the first.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Iterable
from typing import Any

from PIL import Image

from mmedagent.cases.case import LETTERS
from mmedagent.digests import digest_bytes
from mmedagent.recipes.data import ValidationRecipe

FORMATS = ("PNG", "JPEG")
TEXT = (
    "case_id",
    "question",
    "answer",
    "question_type",
    "modality",
    "specialty",
    "source",
    "subject",
    "pool",
)


def inspect(rows: Iterable[dict[str, Any]], recipe: ValidationRecipe) -> list[dict[str, Any]]:
    """Return one record a row: its texts, and what was found about its options and image.

    Fields: the columns of `TEXT`; `options` (how many), `repeated_options`, `answer_is_option`,
    `letter` of the answer or None; `image_digest` (sha256 or None), `image_problem` (None when it
    decodes), `width`, `height` and `pixels` in pixels, `image_bytes`.
    """
    images: dict[str | None, dict[str, Any]] = {}
    records = []
    for row in rows:
        data = (row.get("image") or {}).get("bytes")
        digest = digest_bytes(data) if isinstance(data, bytes) else None
        if digest not in images:
            images[digest] = inspect_image(data, recipe)
        record: dict[str, Any] = {name: row.get(name) for name in TEXT}
        record |= _question(row) | {"image_digest": digest} | images[digest]
        records.append(record)
    return records


def inspect_image(data: object, recipe: ValidationRecipe) -> dict[str, Any]:
    """Return an image's facts; the size its header claims is judged before it is decoded."""
    facts: dict[str, Any] = {"width": None, "height": None, "pixels": None, "image_bytes": 0}
    if not isinstance(data, bytes) or not data:
        return facts | {"image_problem": "there is no image"}
    facts["image_bytes"] = len(data)
    if len(data) > recipe.max_bytes:
        return facts | {"image_problem": f"{len(data)} bytes, more than {recipe.max_bytes}"}
    try:
        with warnings.catch_warnings():
            # Pillow warns of a decompression bomb at its own limit; ours is the recipe's.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        facts |= {"width": width, "height": height, "pixels": width * height}
        if width * height > recipe.max_pixels:
            problem = f"{width}x{height} pixels, more than {recipe.max_pixels}: not decoded"
            return facts | {"image_problem": problem}
        image.load()
    except Image.DecompressionBombError as error:
        return facts | {"image_problem": f"decompression bomb: {error}"}
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        return facts | {"image_problem": f"not a whole {' or '.join(FORMATS)}: {error}"}
    return facts | {"image_problem": None}


def _question(row: dict[str, Any]) -> dict[str, Any]:
    options = list(row.get("options") or [])
    answer = row.get("answer")
    there = answer in options
    return {
        "options": len(options),
        "repeated_options": len(set(options)) != len(options),
        "blank_options": any(not str(option or "").strip() for option in options),
        "answer_is_option": there,
        "letter": LETTERS[options.index(answer)] if there and len(options) <= 26 else None,
    }
