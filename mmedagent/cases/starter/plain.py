"""Radiographs, mammograms, ultrasound and single slices of the starter set."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image

from mmedagent.cases.case import Pool
from mmedagent.cases.starter.archives import named
from mmedagent.cases.starter.pictures import Picture, cut, squared, still, stretch, window
from mmedagent.cases.starter.radiology import WINDOWS
from mmedagent.cases.starter.volumes import hounsfield

_FILES = {
    "pydicom-data": "data_store/data",
    "mammograms": "mammograms/cases",
}
Box = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of the image."""


@dataclass(frozen=True)
class Plain:
    """One DICOM file, the part of it that carries the picture, and what it shows."""

    file: str
    package: str
    modality: str
    subject: str
    pool: Pool
    facts: dict[str, str]
    box: Box = (0.0, 0.0, 1.0, 1.0)
    """Without burned-in text and scales."""
    crops: int = 0
    """So many further pictures, each a square part of `box`."""
    frames: tuple[int, ...] = ()


_CINE = (0.14, 0.09, 0.86, 0.86)
PLAIN = (
    Plain("RG1_UNCR.dcm", "pydicom-data", "X-ray", "9RG1", "train", {"region": "chest"},
          (0.03, 0.02, 0.97, 0.97), 10),
    Plain("RG3_UNCR.dcm", "pydicom-data", "X-ray", "11RG3", "test", {"region": "limb"},
          (0.2, 0.05, 0.8, 0.98), 6),
    Plain("MR2_UNCR.dcm", "pydicom-data", "MRI", "5MR2", "train", {"region": "limb"},
          (0.0, 0.0, 1.0, 1.0), 3),
    Plain("MR-SIEMENS-DICOM-WithOverlays.dcm", "pydicom-data", "MRI", "021234567", "panel",
          {"region": "abdomen", "plane": "axial"}, (0.1, 0.16, 0.95, 0.84), 3),
    Plain("693_UNCR.dcm", "pydicom-data", "CT", "CQ500-CT-310", "panel",
          {"region": "head", "plane": "axial", "window": "bone"}, (0.1, 0.05, 0.9, 0.95)),
    Plain("explicit_VR-UN.dcm", "pydicom-data", "CT", "PANCREAS_0001", "test",
          {"region": "abdomen", "plane": "axial", "window": "soft tissue"},
          (0.12, 0.15, 0.88, 0.9)),
    Plain("US1_UNCR.dcm", "pydicom-data", "ultrasound", "13US1", "panel", {},
          (0.1, 0.3, 0.9, 0.62), 6),
    Plain("color-pl.dcm", "pydicom-data", "ultrasound", "TEE", "validation", {"region": "chest"},
          (0.05, 0.1, 0.95, 0.95), 6),
    Plain("color3d_jpeg_baseline.dcm", "pydicom-data", "ultrasound", "204", "train",
          {"region": "chest"}, _CINE, 0, tuple(range(0, 84, 7))),
    Plain("color3d_jpeg_baseline.dcm", "pydicom-data", "ultrasound", "204", "warm_start",
          {"region": "chest"}, _CINE, 0, (100, 110)),
    Plain("gdcm-US-ALOKA-16.dcm", "pydicom-data", "ultrasound", "98279", "test", {},
          (0.06, 0.12, 0.94, 0.78), 8),
)  # fmt: skip


def plain(cache: Path) -> Iterator[Picture]:
    """Cut every picture of the table, then the mammograms."""
    for row in PLAIN:
        [data] = named(cache, row.package, _FILES[row.package], row.file).values()
        dataset = pydicom.dcmread(io.BytesIO(data))
        # JPEG decoders differ in the last bit: one that is named keeps the set's bytes.
        dataset.pixel_array_options(decoding_plugin="pillow")
        for frame in row.frames or (0,):
            image = _boxed(_image(dataset, row, frame), row.box)
            name = f"{row.file.removesuffix('.dcm')}-{frame:03d}"
            yield _picture(row, name, squared(image), row.facts)
            for number, part in enumerate(_parts(image, row.crops)):
                if _lit(part, 12):
                    yield _picture(row, f"{name}-part{number}", part, row.facts)
    yield from _mammograms(cache)


def _picture(row: Plain, name: str, image: Image.Image, facts: dict[str, str]) -> Picture:
    return Picture(
        name=name, draw=still(image), modality=row.modality, specialty="Radiologist",
        source=row.package, subject=f"{row.package}-{row.subject}", pool=row.pool, facts=facts,
        group=f"{row.modality}-{row.subject}",
    )  # fmt: skip


def _image(dataset: pydicom.Dataset, row: Plain, frame: int) -> Image.Image:
    if name := row.facts.get("window"):
        return window(hounsfield(dataset), *WINDOWS[name])
    pixels = dataset.pixel_array
    if row.frames:
        pixels = pixels[frame]
    if pixels.ndim == 3:
        return Image.fromarray(np.ascontiguousarray(pixels[..., :3]).astype(np.uint8))
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        return stretch(pixels, 1, 99.8)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        pixels = pixels.max() - pixels.astype(np.int64)
    return stretch(pixels)


def _boxed(image: Image.Image, box: Box) -> Image.Image:
    width, height = image.size
    return image.crop(
        (round(box[0] * width), round(box[1] * height), round(box[2] * width),
         round(box[3] * height))
    )  # fmt: skip


def _parts(image: Image.Image, count: int) -> Iterator[Image.Image]:
    """Cut `count` squares on a grid along the longer side, half as large as the image."""
    side = 0.55 * min(image.size)
    columns = max(1, round((count * image.width / image.height) ** 0.5)) if count else 1
    rows = -(-count // columns) if count else 0
    for number in range(count):
        across, down = number % columns, number // columns
        x = image.width * (across + 0.5) / columns
        y = image.height * (down + 0.5) / rows
        yield cut(image, x, y, side)


def _lit(image: Image.Image, least: float) -> bool:
    """Say whether a part is more than the plain ground round the picture, by its grey levels."""
    grey = np.asarray(image.convert("L"))
    return float(grey.mean()) > least and float(grey.std()) > 14


_BREASTS: dict[str, tuple[tuple[str, str, str, Pool], ...]] = {
    "sfm-benign-0": (
        ("1-130.dcm", "left", "CC", "train"),
        ("1-131.dcm", "left", "MLO", "validation"),
        ("1-132.dcm", "right", "CC", "panel"),
        ("1-133.dcm", "right", "MLO", "panel"),
    ),
    "sfm-malign-0": (
        ("1-280.dcm", "left", "CC", "test"),
        ("1-281.dcm", "left", "MLO", "test"),
        ("1-282.dcm", "right", "CC", "test"),
        ("1-283.dcm", "right", "MLO", "test"),
    ),
}


def _mammograms(cache: Path) -> Iterator[Picture]:
    for patient, views in _BREASTS.items():
        files = named(cache, "mammograms", f"{_FILES['mammograms']}/{patient}",
                      *(file for file, *_ in views))  # fmt: skip
        for file, side, view, pool in views:
            image = _film(files[file])
            row = Plain(file, "mammograms", "X-ray", patient, pool,
                        {"region": "breast", "side": side})  # fmt: skip
            yield _picture(row, f"{patient}-{side}-{view}", squared(image), row.facts)
            for number, part in enumerate(_parts(image, 6)):
                if _lit(part, 40):
                    yield _picture(row, f"{patient}-{side}-{view}-part{number}", part,
                                   {"region": "breast"})  # fmt: skip


def _film(data: bytes) -> Image.Image:
    """Read a mammogram with its burned-in letters (bright, outside the breast) made black."""
    from skimage.measure import label

    pixels = pydicom.dcmread(io.BytesIO(data)).pixel_array[::4, ::4].astype(np.float32)
    parts = label(pixels > 0.08 * np.percentile(pixels, 99.5))
    largest = np.argmax(np.bincount(parts.ravel())[1:]) + 1
    pixels = np.where(parts == largest, pixels, 0)
    rows, columns = np.nonzero(parts == largest)
    return stretch(pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1], 1, 99.8)
