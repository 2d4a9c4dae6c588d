"""Medical pictures with text drawn into them, and what is left of it.

The pictures are made, not taken from a package: smooth bodies, tissue texture and noise; the
figures of docs/privacy.md are of real ones (benchmarks/privacy.py).
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]


def picture(side: int, seed: int, colour: bool = False) -> Image.Image:
    """A body on a dark ground with organs of other greys, blurred, with noise."""
    import cv2

    draw = np.random.default_rng(seed)
    field = np.zeros((side, side), dtype=np.float32)
    for _ in range(7):
        x, y, rx, ry = (draw.uniform(0.2, 0.8, 4) * side * [1, 1, 0.5, 0.5]).astype(int)
        shade = float(draw.uniform(20, 140))
        cv2.ellipse(
            field, (int(x), int(y)), (int(rx), int(ry)), draw.uniform(0, 180), 0, 360, shade, -1
        )
    field = cv2.GaussianBlur(field, (0, 0), side / 40)
    field += draw.normal(0, 4, field.shape)
    grey = np.clip(field, 0, 255).astype(np.uint8)
    if not colour:
        return Image.fromarray(grey)
    tint = np.array([1.0, 0.75, 0.6])
    return Image.fromarray((grey[..., None] * tint).astype(np.uint8))


def font(pixels: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib ships: Latin, Cyrillic, Greek, Hebrew and Arabic letters."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), pixels)


def with_text(
    image: Image.Image,
    text: str,
    pixels: int,
    where: tuple[float, float],
    turn: int = 0,
    contrast: float = 1.0,
) -> tuple[Image.Image, NDArray[np.bool_]]:
    """`image` with `text` at a place (shares of the free room), and the text's pixels."""
    face = font(pixels)
    width, height = (int(edge) + 3 for edge in face.getbbox(text)[2:])
    patch = Image.new("L", (width, height), 0)
    ImageDraw.Draw(patch).text((1, 1), text, font=face, fill=255)
    patch = patch.rotate(turn, expand=True, resample=Image.Resampling.BICUBIC)
    left = round(where[0] * max(0, image.width - patch.width))
    top = round(where[1] * max(0, image.height - patch.height))
    box = (left, top, left + patch.width, top + patch.height)
    ground = float(np.asarray(image.crop(box).convert("L")).mean())
    shade = (
        round(ground + contrast * (255 - ground))
        if ground < 128
        else round(ground * (1 - contrast))
    )
    out = image.copy()
    out.paste((shade,) * 3 if image.mode == "RGB" else shade, box, patch)
    drawn = np.zeros((image.height, image.width), dtype=bool)
    letters = np.asarray(patch)[: image.height - top, : image.width - left] > 64
    drawn[top : top + letters.shape[0], left : left + letters.shape[1]] = letters
    return out, drawn


def still_there(after: Image.Image, drawn: NDArray[np.bool_]) -> float:
    """The share of the letters' pixels that do not lie in one flat patch of colour afterwards."""
    import cv2

    grey = np.asarray(after.convert("L"))
    flat = cv2.dilate(grey, np.ones((3, 3))) == cv2.erode(grey, np.ones((3, 3)))
    return float((~flat)[drawn].mean())
