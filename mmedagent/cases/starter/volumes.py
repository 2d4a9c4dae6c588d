"""Reads image volumes into one orientation and cuts axial, coronal and sagittal slices."""

import gzip
import io
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

Plane = Literal["axial", "coronal", "sagittal"]
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
_AXIS = {"axial": 2, "coronal": 1, "sagittal": 0}
_NRRD_TYPES = {"short": "i2", "unsigned char": "u1", "unsigned short": "u2", "float": "f4"}


@dataclass(frozen=True)
class Volume:
    """Voxels [right, anterior, superior], each index growing that way, and their size in mm."""

    voxels: npt.NDArray
    spacing: tuple[float, float, float]

    def length(self, plane: Plane) -> int:
        """Return how many slices the volume has in a plane."""
        return int(self.voxels.shape[_AXIS[plane]])

    def slice(self, plane: Plane, index: int) -> npt.NDArray:
        """Return one slice as radiologists look at it, [row, column], with square pixels.

        Axial: anterior on top, the patient's right on the left. Coronal: the head on top, right
        on the left. Sagittal: the head on top, anterior on the left.
        """
        axis = _AXIS[plane]
        # Indexing, for numpy.take would copy a whole flipped volume for each slice.
        pixels = self.voxels[(slice(None),) * axis + (index,)].astype(np.float32)
        width, height = (s for n, s in enumerate(self.spacing) if n != axis)
        # Columns grow against the first remaining axis, rows against the second.
        picture = Image.fromarray(np.ascontiguousarray(pixels[::-1, ::-1].T))
        step = min(width, height)
        size = (round(picture.width * width / step), round(picture.height * height / step))
        return np.asarray(picture.resize(size, Image.Resampling.BILINEAR))


def read_nifti(data: bytes) -> Volume:
    """Read a NIfTI file, gzipped or not."""
    import nibabel

    raw = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image.from_stream(io.BytesIO(raw)))
    voxels = np.ascontiguousarray(np.asarray(image.dataobj).squeeze())
    right, anterior, superior = (float(size) for size in image.header.get_zooms()[:3])
    return Volume(voxels, (right, anterior, superior))


def read_nrrd(data: bytes) -> Volume:
    """Read a gzipped or raw NRRD file in left-posterior-superior space with axes along it."""
    header, _, body = data.partition(b"\n\n")
    lines = [line.split(": ", 1) for line in header.decode().splitlines() if ": " in line]
    fields = {key: value for key, value in lines}
    sizes = [int(size) for size in fields["sizes"].split()]
    if fields["encoding"] in ("gzip", "gz"):
        body = zlib.decompress(body, 47)
    order = ">" if fields.get("endian") == "big" else "<"
    values = np.frombuffer(body, order + _NRRD_TYPES[fields["type"]], count=int(np.prod(sizes)))
    voxels = values.reshape(sizes, order="F")
    directions = [
        [float(part) for part in axis.strip("()").split(",")]
        for axis in fields["space directions"].split()
    ]
    steps = [directions[n][n] for n in range(3)]
    # Left and posterior grow: turned round, right and anterior do; superior grows already.
    for axis, sign in enumerate((-1, -1, 1)):
        if steps[axis] * sign < 0:
            voxels = np.flip(voxels, axis)
    return Volume(np.ascontiguousarray(voxels), (abs(steps[0]), abs(steps[1]), abs(steps[2])))


def read_dicom_series(files: Iterable[bytes]) -> Volume:
    """Read one axial CT series into Hounsfield units."""
    import pydicom

    slices = [pydicom.dcmread(io.BytesIO(data)) for data in files]
    slices.sort(key=lambda part: float(part.ImagePositionPatient[2]))
    step = float(slices[1].ImagePositionPatient[2]) - float(slices[0].ImagePositionPatient[2])
    # [slice, row, column]: rows grow to posterior, columns to the left.
    stack = np.stack([hounsfield(part).astype(np.int16) for part in slices])
    rows, columns = (float(s) for s in slices[0].PixelSpacing)
    # Contiguous, because slices are cut along every axis.
    voxels = np.ascontiguousarray(stack[:, ::-1, ::-1].transpose(2, 1, 0))
    return Volume(voxels, (columns, rows, step))


def hounsfield(dataset: object) -> npt.NDArray[np.float32]:
    """Return a DICOM image's pixels after its rescale slope and intercept."""
    pixels = dataset.pixel_array.astype(np.float32)  # type: ignore[attr-defined]
    slope = float(getattr(dataset, "RescaleSlope", 1))
    return np.asarray(pixels * slope + float(getattr(dataset, "RescaleIntercept", 0)), np.float32)
