"""PNG, JPEG, TIFF, GIF and BMP, read by Pillow after what it does not judge was judged."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from mmedagent.cases.imaging import grey
from mmedagent.cases.imaging.decoded import Decoded, refuse_size, refused
from mmedagent.cases.imaging.ends import check_end
from mmedagent.cases.sources.contract import View

if TYPE_CHECKING:
    from mmedagent.recipes.sets import LimitsRecipe

_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    IndexError,
    KeyError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def decode(data: bytes, kind: str, view: View, limits: "LimitsRecipe", place: str) -> Decoded:
    """Return the picture; transparent parts become white, deeper than 8 bits is scaled to 8.

    Values of 16 bits and more have no scale of their own: `view.window`, or else the picture's
    smallest and largest value, become black and white. A file's own orientation tag is obeyed.
    """
    if view.axis is not None:
        raise refused(place, f"a {kind.upper()} has no {view.axis} slices", "take `axis` out")
    if kind != "tiff":
        check_end(kind, data, place)
        if view.frame not in (None, 0):
            raise refused(place, f"a {kind.upper()} has one frame, 0", "take `frame` out")
    with _quiet(), _open(data, kind, place) as image:
        if kind == "tiff":
            _seek(image, view.frame, place)
        refuse_size(image.width, image.height, limits.max_pixels, place)
        try:
            image.load()
            upright = ImageOps.exif_transpose(image) or image
        except _BROKEN:
            raise refused(
                place, f"the {kind.upper()} is damaged or cut off", "transfer it again"
            ) from None
        return Decoded(_eight_bits(upright, view, place), {"kind": kind})


def frames(data: bytes, kind: str, place: str) -> int:
    """Return a TIFF's pages; of the other kinds, which may hold one picture only, 1."""
    if kind != "tiff":
        return 1
    with _quiet(), _open(data, kind, place) as image:
        return _pages(image, place)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Pillow's warnings back: of bombs at its own limit, and of tags that it skips."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _open(data: bytes, kind: str, place: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=(kind.upper(),))
    except Image.DecompressionBombError:
        raise refused(
            place, "the header claims more pixels than any real image", "scale the image down"
        ) from None
    except _BROKEN:
        raise refused(
            place,
            f"named {kind.upper()} by its first bytes and not readable as one",
            "export it again, without unusual compression",
        ) from None


def _pages(image: Image.Image, place: str) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except _BROKEN:
        raise refused(place, "the TIFF's list of pages is damaged", "transfer it again") from None


def _seek(image: Image.Image, frame: int | None, place: str) -> None:
    pages = _pages(image, place)
    if frame is None and pages > 1:
        raise refused(
            place, f"a TIFF of {pages} pages", "name the page with `frame` in the mapping, from 0"
        )
    if frame is not None and not 0 <= frame < pages:
        raise refused(place, f"no page {frame}: the TIFF has {pages}", "pages count from 0")
    try:
        image.seek(frame or 0)
    except _BROKEN:
        raise refused(place, "the TIFF is damaged or cut off", "transfer it again") from None


def _eight_bits(image: Image.Image, view: View, place: str) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, np.float32)
        if not np.isfinite(values).all():
            raise refused(place, "pixel values that are no numbers", "export the image again")
        if view.window is None:
            return grey.picture(grey.stretch(values, float(values.min()), float(values.max())))
        return grey.picture(grey.window(values, *view.window))
    if view.window is not None:
        raise refused(
            place, "a window is given and the image has 8 bits", "take `window` out of the mapping"
        )
    if image.mode in ("1", "L"):
        return image.convert("L")
    if image.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(paper, layer).convert("RGB")
    return image.convert("RGB")
