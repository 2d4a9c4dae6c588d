"""From an image file of any kind to the bytes that a data version stores."""

import hashlib
import io
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from mmedagent.cases.imaging.decode import decode
from mmedagent.cases.privacy.burned_in import BurnedInText
from mmedagent.cases.sources.contract import SourceImage, View
from mmedagent.recipes.sets import DataSetRecipe

_KEPT = 64
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class Stored:
    """One image as it is stored."""

    data: bytes
    """A JPEG where the source had one, else a PNG; nothing but pixels in it."""
    regions: int
    """Text regions that were painted over."""
    removed: Counter[str]
    """What was taken from a DICOM header."""
    dicom: bool


class Pictures:
    """Decodes, cleans, scales and encodes images; the last few are kept, for one image has several
    questions."""

    def __init__(self, recipe: DataSetRecipe) -> None:
        self._recipe = recipe
        self._cleaner = BurnedInText(recipe.privacy)
        self._kept: OrderedDict[tuple[bytes, View], Stored] = OrderedDict()

    def store(self, source: SourceImage, count: Callable[[Stored], None]) -> bytes:
        """Return the bytes to store; `count` hears of each picture that was worked on anew.

        Raises `BadDataError` that names the image's place.
        """
        data = source.read()
        key = (hashlib.sha256(data).digest(), source.view)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key].data
        stored = self._convert(data, source)
        count(stored)
        self._kept[key] = stored
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return stored.data

    def _convert(self, data: bytes, source: SourceImage) -> Stored:
        decoded = decode(data, source.view, self._recipe.limits, source.place)
        # What is stored is searched: text that scaling made unreadable needs no painting over.
        image = fitted(decoded.image, self._recipe.images.max_side)
        cleaned = self._cleaner.clean(image, source.place)
        return Stored(
            encoded(cleaned.image, jpeg=data.startswith(b"\xff\xd8")),
            cleaned.regions,
            decoded.dicom_removed,
            decoded.facts.get("kind") == "dicom",
        )


def fitted(image: Image.Image, side: int) -> Image.Image:
    """Return the image scaled down so that its longer side is `side` pixels at most."""
    longest = max(image.size)
    if longest <= side:
        return image
    width, height = (max(1, round(edge * side / longest)) for edge in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def encoded(image: Image.Image, jpeg: bool) -> bytes:
    """Return the pixels alone as PNG, or as JPEG (quality 95, full colour resolution)."""
    bare = Image.frombytes(image.mode, image.size, image.tobytes())
    buffer = io.BytesIO()
    if jpeg:
        bare.save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    else:
        bare.save(buffer, "PNG")
    return buffer.getvalue()
