"""One picture of the starter set before questions are put to it, and how pixels become one."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from mmedagent.cases.case import Pool, Specialty

Grey = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Picture:
    """A square RGB image, where it comes from, and what is known of it."""

    name: str
    """Unique within its source."""
    draw: Callable[[], Image.Image]
    """Makes the image: of the many slices of a volume only those that are kept are cut."""
    modality: str
    specialty: Specialty
    source: str
    subject: str
    pool: Pool
    facts: Mapping[str, str]
    """Question type -> the right option, apart from the modality."""
    group: str = ""
    """Pictures are taken evenly over the groups of a source."""


def still(image: Image.Image) -> Callable[[], Image.Image]:
    """Return what draws an image that is there already."""
    return lambda: image


def window(pixels: npt.NDArray, low: float, high: float) -> Image.Image:
    """Return a grey image: `low` and what is below black, `high` and what is above white."""
    scaled = np.clip((pixels.astype(np.float64) - low) / (high - low), 0.0, 1.0)
    return Image.fromarray(np.rint(scaled * 255).astype(np.uint8))


def stretch(pixels: npt.NDArray, low: float = 1.0, high: float = 99.5) -> Image.Image:
    """Return a grey image windowed to two percentiles of its own values."""
    bottom, top = np.percentile(pixels, [low, high])
    return window(pixels, float(bottom), float(max(top, bottom + 1e-6)))


def squared(image: Image.Image) -> Image.Image:
    """Return the image on a black square as large as its longer side."""
    side = max(image.size)
    canvas = Image.new("RGB", (side, side))
    canvas.paste(image.convert("RGB"), ((side - image.width) // 2, (side - image.height) // 2))
    return canvas


def cut(image: Image.Image, x: float, y: float, side: float) -> Image.Image:
    """Return the square of `side` pixels centred at pixel (`x`, `y`), moved inside the image."""
    side = min(side, image.width, image.height)
    left = min(max(x - side / 2, 0), image.width - side)
    top = min(max(y - side / 2, 0), image.height - side)
    # Rounded, the edge may be half a pixel longer: it stays inside all the same.
    edge = round(side)
    x0, y0 = min(round(left), image.width - edge), min(round(top), image.height - edge)
    return image.convert("RGB").crop((x0, y0, x0 + edge, y0 + edge))


def grid(image: Image.Image, side: int, step: int) -> list[tuple[str, Image.Image, float]]:
    """Cut squares of `side` pixels every `step` pixels: name, square, left edge as a fraction."""
    found = []
    for top in range(0, image.height - side + 1, step):
        for left in range(0, image.width - side + 1, step):
            box = (left, top, left + side, top + side)
            found.append((f"{left}-{top}", image.convert("RGB").crop(box), left / image.width))
    return found


def png(image: Image.Image, size: int) -> bytes:
    """Return the image as a PNG of `size` x `size` RGB pixels, without metadata."""
    method = Image.Resampling.LANCZOS if image.width > size else Image.Resampling.BICUBIC
    buffer = io.BytesIO()
    image.convert("RGB").resize((size, size), method).save(buffer, "PNG")
    return buffer.getvalue()
