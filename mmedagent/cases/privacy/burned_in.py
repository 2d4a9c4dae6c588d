"""Text burned into images: its place is found by a text detector, then painted over or refused.

The detector of `rapidocr` (PP-OCRv6, its weights are in the package) says where there is text of
any script. Nothing is recognised: what the text says is never known here, and so cannot leak.
"""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

from mmedagent.cases.privacy.refusal import RefusedForPrivacy
from mmedagent.recipes.privacy import PrivacyRecipe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Regions = list[NDArray[np.float32]]

LEAST_SIDE = 32
"""Images with a shorter side (pixels) are not searched: letters of 5 pixels leave room for six."""
_MOST_SIDE = 1536
"""Longer images are searched at this scale: what cannot be read there cannot be read as stored."""
_LARGEST_LETTER = 0.3
"""A region thicker than this share of the shorter side is the organ, taken for a letter."""
_LARGEST_LONE_LETTER = 0.12
"""The same for a region less than 1.5 times as long as it is thick: one letter at most."""
_LEAST_THICKNESS = 5.5
"""Pixels. The detector's regions are wider than the letters; below this those have 3 or less."""
_MARGIN = 0.35
"""Of a region's thickness is painted over around it, at least two pixels."""
_MOST_PASSES = 3
_LEAST_STROKES = 12.0
"""Images whose strongest strokes are fainter (mean grey levels over 9 x 5 pixels) hold no text that
the detector would find: its faintest finds in `benchmarks/privacy.py` have more than this."""


@dataclass(frozen=True)
class Cleaned:
    """An image without the text that was found in it."""

    image: Image.Image
    regions: int
    """How many text regions were painted over."""


class BurnedInText:
    """Finds text in images; one instance a process, built once (it holds the detector)."""

    def __init__(self, recipe: PrivacyRecipe) -> None:
        self._action = recipe.burned_in_text
        self._confidence = recipe.least_text_confidence
        self._detector: Any = None

    def clean(self, image: Image.Image, place: str) -> Cleaned:
        """Return `image` (mode L or RGB) as the recipe's `burned_in_text` wants it.

        `keep` does not look; `mask` paints regions over in the colour of their surroundings, and
        looks again until nothing is found; `refuse` raises `RefusedForPrivacy` that names `place`
        and the number of regions, never their text. Orientation marks (a lone `L` or `R`) may be
        masked as well. Clean the picture that is stored: time grows with the pixels.
        """
        if self._action == "keep" or min(image.size) < LEAST_SIDE:
            return Cleaned(image, 0)
        import numpy as np

        pixels = np.array(image)
        regions = self.find(pixels)
        if not regions:
            return Cleaned(image, 0)
        if self._action == "refuse":
            raise RefusedForPrivacy(
                f"{place}: {len(regions)} text regions are burned into the image; mask them "
                "(privacy.burned_in_text: mask) or leave the case out"
            )
        found: Regions = []
        for _ in range(_MOST_PASSES):
            found += regions
            pixels = np.array(image)
            paint(pixels, found)
            # What is bold may have hidden what is faint.
            regions = self.find(pixels)
            if not regions:
                break
        return Cleaned(Image.fromarray(pixels, image.mode), len(found))

    def find(self, pixels: "Pixels") -> "Regions":
        """Return the text regions of `pixels` (height, width[, 3]; uint8) as corner points.

        Each is float32 of shape (4, 2): x, y in pixels, clockwise.
        """
        import cv2
        import numpy as np

        if strokes(pixels) < _LEAST_STROKES:
            return []
        height, width = pixels.shape[:2]
        scale = min(_scale(min(height, width)), _MOST_SIDE / max(height, width))
        size = (max(32, round(width * scale)), max(32, round(height * scale)))
        method = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        scaled = cv2.resize(pixels, size, interpolation=method)
        if scaled.ndim == 2:
            scaled = np.repeat(scaled[..., None], 3, axis=2)
        found = self._loaded()(scaled[..., ::-1])  # the detector was trained on BGR
        if found.boxes is None:
            return []
        back = np.array([width / size[0], height / size[1]], dtype=np.float32)
        boxes = [np.asarray(box, dtype=np.float32) * back for box in found.boxes]
        return [box for box in boxes if _may_be_writing(box, min(height, width))]

    def _loaded(self) -> Any:
        if self._detector is None:
            self._detector = _load(self._confidence)
        return self._detector


def strokes(pixels: "Pixels") -> float:
    """Return how strong the strongest thin strokes of an image are, in grey levels (0 to 255).

    What is thinner than 5 pixels and brighter or darker than its surroundings, averaged over 9 x 5
    pixels, at full, half and quarter size, so that large letters have thin strokes, too.
    """
    import cv2
    import numpy as np

    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if pixels.ndim == 3 else pixels
    kernel = np.ones((5, 5), dtype=np.uint8)
    strongest = 0.0
    for _ in range(3):
        bright = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, kernel)
        dark = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, kernel)
        thin = np.maximum(bright, dark).astype(np.float32)
        strongest = max(strongest, float(cv2.blur(thin, (9, 5)).max()))
        if min(grey.shape) < 2 * LEAST_SIDE:
            break
        half = (grey.shape[1] // 2, grey.shape[0] // 2)
        grey = cv2.resize(grey, half, interpolation=cv2.INTER_AREA)
    return strongest


def _scale(side: int) -> float:
    """Return by how much an image of this shorter side is enlarged before it is searched.

    Three times while that is cheap, then to 512 pixels: measured by `benchmarks/privacy.py`.
    """
    return max(1.0, min(3.0, max(384, min(512, 2 * side)) / side))


def _may_be_writing(box: "NDArray[np.float32]", side: int) -> bool:
    """Say whether a region may be text that names someone, by its shape alone.

    Measured by `benchmarks/privacy.py`: nine of ten false regions are hairlines or lumps.
    """
    thick, length = _extent(box)
    lone = length < 1.5 * thick
    return _LEAST_THICKNESS <= thick <= side * (_LARGEST_LONE_LETTER if lone else _LARGEST_LETTER)


def _extent(box: "NDArray[np.float32]") -> tuple[float, float]:
    """Return a region's shorter and longer edge, in pixels."""
    import numpy as np

    edges = float(np.linalg.norm(box[0] - box[1])), float(np.linalg.norm(box[0] - box[3]))
    return min(edges), max(edges)


def paint(pixels: "NDArray[Any]", regions: "Regions") -> None:
    """Fill regions and their margins with the median colour of the pixels around, in place.

    Regions that touch get one colour. `pixels` is (height, width[, 3]) of any integer type.
    """
    import cv2
    import numpy as np

    mask = np.zeros(pixels.shape[:2], dtype=np.uint8)
    for box in regions:
        margin = max(2, round(_MARGIN * _extent(box)[0]))
        one = np.zeros_like(mask)
        cv2.fillConvexPoly(one, np.round(box).astype(np.int32), 1)
        kernel = np.ones((2 * margin + 1, 2 * margin + 1), dtype=np.uint8)
        mask = np.maximum(mask, cv2.dilate(one, kernel).astype(np.uint8))
    patches, labels = cv2.connectedComponents(mask)
    for patch in range(1, patches):
        inside = labels == patch
        wider = cv2.dilate(inside.astype(np.uint8), np.ones((5, 5), dtype=np.uint8))
        around = pixels[wider.astype(bool) & (mask == 0)]
        colour = np.median(around, axis=0) if len(around) else np.zeros(pixels.shape[2:])
        pixels[inside] = np.asarray(colour).astype(pixels.dtype)


def _load(confidence: float) -> Any:
    """Return the detector alone, on one thread; its weights come with the package, offline."""
    from rapidocr import RapidOCR

    threads = int(os.environ.get("OMP_NUM_THREADS") or 1)
    settings = {
        "Global.log_level": "error",
        "EngineConfig.onnxruntime.intra_op_num_threads": threads,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        "Det.limit_side_len": 32,
        "Det.limit_type": "min",
        "Det.box_thresh": confidence,
    }
    return RapidOCR(params=settings)._load_det_model()
