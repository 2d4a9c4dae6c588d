"""What one stored row is like: facts about its images and its question, one flat record a row.

Nothing here raises on a bad row: a problem becomes a value, so that validation can name every bad
row at once instead of stopping at the first.
"""

import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from mmedagent.cases.case import LETTERS
from mmedagent.cases.layout import TEXT
from mmedagent.cases.perceptual import hash_of
from mmedagent.cases.wording import gives_away, key_of, normalised
from mmedagent.digests import digest_bytes, digest_value
from mmedagent.recipes.data import ValidationRecipe

FORMATS = ("PNG", "JPEG")
_ADDRESS = re.compile(r"file <_io\.BytesIO object at 0x[0-9a-f]+>")
_LEVELS = np.arange(256, dtype=np.float64)
_TEXT_KEPT = 80
"""So many characters of a text are kept as a fact: enough to see that it is not blank."""


def inspect(rows: Iterable[dict[str, Any]], recipe: ValidationRecipe) -> list[dict[str, Any]]:
    """Return one record a row: its texts, and what was found about its options and images.

    Fields: the columns of `TEXT`, stripped and cut to 80 characters, `answer_type`, `language`,
    `question_chars`; what `_question` adds; `images` (how many), `image_digest` (of all of them,
    None when one is missing), `image_problem` (of the first that has one, None when all decode),
    the least `width` and `height`, the most `pixels` and `image_bytes`, and `pictures`: of each
    image that decodes what `inspect_image` and `_picture` found.
    """
    seen: dict[str, dict[str, Any]] = {}
    return [_record(row, recipe, seen) for row in rows]


def _record(
    row: Mapping[str, Any], recipe: ValidationRecipe, seen: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    record: dict[str, Any] = {name: _kept(row.get(name)) for name in TEXT}
    record["answer_type"] = row.get("answer_type")
    record["language"] = (row.get("attributes") or {}).get("language")
    record["question_chars"] = len(str(row.get("question") or ""))
    record |= _question(row)
    found = []
    for image in row.get("images") or [None]:
        data = (image or {}).get("bytes")
        digest = digest_bytes(data) if isinstance(data, bytes) else ""
        if digest not in seen:
            seen[digest] = inspect_image(data, recipe) | {"digest": digest}
        found.append(seen[digest])
    return record | _all_images(found)


def _kept(text: object) -> object:
    return text.strip()[:_TEXT_KEPT] if isinstance(text, str) else text


def _all_images(found: list[dict[str, Any]]) -> dict[str, Any]:
    def of(name: str) -> list[Any]:
        return [facts[name] for facts in found if facts[name] is not None]

    digests = [str(facts["digest"]) for facts in found]
    problems = of("image_problem")
    return {
        "images": len(found),
        "image_digest": (digests[0] if len(digests) == 1 else digest_value(digests))
        if all(digests)
        else None,
        "image_problem": problems[0] if problems else None,
        "width": min(of("width"), default=None),
        "height": min(of("height"), default=None),
        "pixels": max(of("pixels"), default=None),
        "image_bytes": max(of("image_bytes"), default=0),
        "pictures": [facts for facts in found if facts["image_problem"] is None],
    }


def inspect_image(data: object, recipe: ValidationRecipe) -> dict[str, Any]:
    """Return an image's facts; the size its header claims is judged before it is decoded.

    `width`, `height`, `pixels`, `image_bytes` and `image_problem` (None when it decodes); of one
    that decodes also `pixels_digest` (sha256 of its size and RGB pixels), `phash` (32 bytes),
    `spread` (standard deviation of its grey levels, 0 to 255) and `constant` (one value alone).
    """
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
        return facts | {"image_problem": None} | _picture(image)
    except Image.DecompressionBombError as error:
        return facts | {"image_problem": f"decompression bomb: {error}"}
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        said = _ADDRESS.sub("the image", str(error))
        return facts | {"image_problem": f"not a whole {' or '.join(FORMATS)}: {said}"}


def _picture(image: Image.Image) -> dict[str, Any]:
    colour = image if image.mode == "RGB" else image.convert("RGB")
    size = image.width.to_bytes(4, "big") + image.height.to_bytes(4, "big")
    grey = image.convert("L")
    return {
        "pixels_digest": digest_bytes(size + colour.tobytes()),
        "phash": hash_of(grey),
        "spread": round(_spread(grey), 3),
        # Of the colours: two may have one grey level.
        "constant": all(low == high for low, high in _extrema(colour)),
    }


def _spread(grey: Image.Image) -> float:
    """Return the standard deviation of the grey levels, from their histogram."""
    counts = np.asarray(grey.histogram(), dtype=np.float64)
    mean = float(counts @ _LEVELS) / counts.sum()
    return float(np.sqrt(counts @ (_LEVELS - mean) ** 2 / counts.sum()))


def _extrema(image: Image.Image) -> list[tuple[int, int]]:
    return [band.getextrema() for band in image.split()]  # type: ignore[misc]


def _question(row: Mapping[str, Any]) -> dict[str, Any]:
    options = [str(option or "") for option in row.get("options") or []]
    question, answer = str(row.get("question") or ""), row.get("answer")
    there = answer in options
    said = str(answer or "")
    return {
        "options": len(options),
        "repeated_options": len(set(options)) != len(options),
        "blank_options": any(not option.strip() for option in options),
        "answer_is_option": there,
        "letter": LETTERS[options.index(said)] if there and len(options) <= 26 else None,
        "question_key": key_of(str(row.get("question_type")), question),
        "answer_key": key_of(said),
        "options_key": key_of(*options),
        "options_set": key_of(*sorted(normalised(option) for option in options)),
        "gives_away": gives_away(question, said, options),
    }
