"""Ophthalmology of the starter set: squares cut from fundus photographs.

Where the disc and the fovea lie was marked by eye, by the authors of this project, who are no
ophthalmologists; both are plain to see in these photographs. In a photograph that is not mirrored
the disc lies on the nasal side: on the left of the fovea in a left eye.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image

from mmedagent.cases.case import Pool
from mmedagent.cases.starter.archives import named
from mmedagent.cases.starter.pictures import Picture, cut, squared, still

Point = tuple[float, float]


@dataclass(frozen=True)
class Eye:
    """One photograph. Points and the box are fractions of its width and height."""

    package: str
    folder: str
    file: str
    subject: str
    pool: Pool
    disc: Point
    fovea: Point | None
    side: str | None
    box: tuple[float, float, float, float]
    """Left, top, right and bottom of the lit field."""


_PREP, _REG = "retinalysis-fundusprep", "retinalysis-registration"
_P, _R = "samples/original", "sample"
EYES = (
    Eye(_PREP, _P, "CHASEDB1_08L.png", "CHASEDB1_08L", "panel", (0.54, 0.50), None, "left",
        (0.05, 0.04, 0.94, 0.97)),
    Eye(_PREP, _P, "DRIVE_22.png", "DRIVE_22", "panel", (0.81, 0.47), (0.51, 0.52), "right",
        (0.03, 0.05, 0.97, 0.96)),
    Eye(_PREP, _P, "HRF_07_dr.jpg", "HRF_07_dr", "panel", (0.26, 0.46), (0.50, 0.55), "left",
        (0.04, 0.0, 0.96, 1.0)),
    Eye(_PREP, _P, "PALM_TR_P0185.png", "PALM_TR_P0185", "train", (0.19, 0.45), None, "left",
        (0.0, 0.03, 1.0, 0.97)),
    Eye(_PREP, _P, "issue_1.png", "issue_1", "validation", (0.66, 0.45), (0.37, 0.47), "right",
        (0.09, 0.23, 0.72, 0.77)),
    Eye(_PREP, _P, "CHASEDB1_12R.png", "CHASEDB1_12R", "warm_start", (0.475, 0.52), None, "right",
        (0.04, 0.02, 0.96, 0.98)),
    Eye(_PREP, _P, "DRIVE_40.png", "DRIVE_40", "train", (0.84, 0.47), (0.50, 0.52), "right",
        (0.03, 0.05, 0.97, 0.96)),
    Eye(_PREP, _P, "HRF_04_g.jpg", "HRF_04_g", "train", (0.29, 0.46), (0.50, 0.51), "left",
        (0.04, 0.0, 0.96, 1.0)),
    Eye("scikit-image", "skimage/data", "retina.jpg", "retina", "train", (0.18, 0.46),
        (0.50, 0.49), "left", (0.01, 0.01, 0.99, 0.98)),
    Eye(_PREP, _P, "cropped.png", "cropped", "validation", (0.245, 0.47), (0.50, 0.52), "left",
        (0.18, 0.23, 0.82, 0.77)),
    Eye(_PREP, _P, "sample_dark.png", "sample_dark", "train", (0.455, 0.46), None, None,
        (0.17, 0.03, 0.85, 0.9)),
    Eye(_PREP, _P, "issue_3.dcm", "issue_3", "test", (0.745, 0.565), (0.46, 0.63), "right",
        (0.12, 0.02, 0.95, 0.92)),
    Eye(_PREP, _P, "issue_2.png", "issue_2", "test", (0.275, 0.48), (0.54, 0.51), "left",
        (0.26, 0.24, 0.84, 0.76)),
    Eye(_REG, _R, "image0.png", "pair", "test", (0.305, 0.44), (0.62, 0.52), "left",
        (0.16, 0.03, 0.84, 0.91)),
    Eye(_REG, _R, "image1.png", "pair", "test", (0.15, 0.45), (0.49, 0.50), "left",
        (0.03, 0.02, 0.97, 0.98)),
)  # fmt: skip
_PARTS = ((0.0, 0.0, 0.34), (0.05, 0.03, 0.42), (-0.04, -0.05, 0.28), (0.03, -0.04, 0.5))
"""Shift across and down and side of each crop round a landmark, in parts of the field's height."""
_ELSEWHERE = (
    (0.5, 0.2),
    (0.5, 0.82),
    (0.7, 0.3),
    (0.3, 0.75),
    (0.72, 0.74),
    (0.3, 0.2),
    (0.8, 0.5),
)


def ophthalmology(cache: Path) -> Iterator[Picture]:
    """Cut every picture of every eye."""
    for eye in EYES:
        [data] = named(cache, eye.package, eye.folder, eye.file).values()
        image = _read(eye.file, data)
        for name, square, facts in _views(eye, image):
            yield Picture(
                name=f"{eye.file.rpartition('.')[0]}-{name}", draw=still(square), modality="fundus",
                specialty="Ophthalmologist", source=eye.package,
                subject=f"{eye.package}-{eye.subject}", pool=eye.pool,
                facts={"region": "eye"} | facts, group=eye.file,
            )  # fmt: skip


def _read(file: str, data: bytes) -> Image.Image:
    if file.endswith(".dcm"):
        return Image.fromarray(np.asarray(pydicom.dcmread(io.BytesIO(data)).pixel_array))
    return Image.open(io.BytesIO(data)).convert("RGB")


def _views(eye: Eye, image: Image.Image) -> Iterator[tuple[str, Image.Image, dict[str, str]]]:
    width, height = image.size
    left, top, right, bottom = eye.box
    field = image.crop((round(left * width), round(top * height), round(right * width),
                        round(bottom * height)))  # fmt: skip
    side = {"side": eye.side} if eye.side else {}
    yield "full", squared(field), side
    yield "middle", cut(field, field.width / 2, field.height / 2, field.height), side
    scale = field.height
    for landmark, point in (("optic disc", eye.disc), ("macula", eye.fovea)):
        if point is None:
            continue
        x, y = point[0] * width - left * width, point[1] * height - top * height
        for number, (across, down, part) in enumerate(_PARTS):
            square = cut(field, x + across * scale, y + down * scale, part * scale)
            yield f"{landmark.split()[-1]}{number}", square, {"landmark": landmark}
    for number, (across, down) in enumerate(_ELSEWHERE):
        x, y = across * field.width, down * field.height
        if _clear(eye, (left * width + x) / width, (top * height + y) / height, width, height):
            yield f"vessels{number}", cut(field, x, y, 0.3 * scale), {"landmark": "vessels"}


def _clear(eye: Eye, x: float, y: float, width: int, height: int) -> bool:
    """Say whether a crop centred here keeps away from the disc and the fovea."""
    reach = 0.27 * (eye.box[3] - eye.box[1]) * height
    return all(
        np.hypot((x - point[0]) * width, (y - point[1]) * height) > reach
        for point in (eye.disc, eye.fovea)
        if point is not None
    )
