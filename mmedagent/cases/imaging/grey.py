"""From measured values to 8-bit grey: the VOI functions of DICOM PS3.3, section C.11.2."""

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.float32]


def window(pixels: Pixels, centre: float, width: float, shape: str = "LINEAR") -> Pixels:
    """Return `pixels` [row, column] mapped to 0..255 by a window of `centre` and `width`.

    `shape` is LINEAR (C.11.2.1.2.1, where the width counts whole steps), LINEAR_EXACT or SIGMOID.
    Raises `ValueError` when the width is too small for the shape, or the shape is none of these.
    """
    if shape == "SIGMOID" and width > 0:
        grey = 1 / (1 + np.exp(np.clip(-4 * (pixels - centre) / width, -60, 60)))
    elif shape == "LINEAR_EXACT" and width > 0:
        grey = (pixels - centre) / width + 0.5
    elif shape == "LINEAR" and width > 1:
        grey = (pixels - (centre - 0.5)) / (width - 1) + 0.5
    elif shape == "LINEAR" and width == 1:
        grey = (pixels > centre - 0.5).astype(np.float32)
    else:
        raise ValueError("a window's width is at least 1, and more than 0 for the exact ones")
    return np.asarray(np.clip(grey, 0, 1) * 255, np.float32)


def stretch(pixels: Pixels, low: float, high: float) -> Pixels:
    """Return `pixels` with `low` and below at 0, `high` and above at 255; a flat one is black."""
    if not high > low:
        return np.zeros_like(pixels, np.float32)
    return np.asarray(np.clip((pixels - low) / (high - low), 0, 1) * 255, np.float32)


def picture(grey: Pixels) -> Image.Image:
    """Return values of 0..255 [row, column] or [row, column, 3] as an image `L` or `RGB`."""
    return Image.fromarray(np.ascontiguousarray(np.rint(grey).astype(np.uint8)))


def square(image: Image.Image, down: float, across: float) -> Image.Image:
    """Return the image with square pixels, given a pixel's height and width; the finer one stays.

    Sizes that differ by less than one percent are taken as equal.
    """
    if abs(down / across - 1) < 0.01:
        return image
    step = min(down, across)
    size = (round(image.width * across / step), round(image.height * down / step))
    return image.resize(size, Image.Resampling.BILINEAR)
