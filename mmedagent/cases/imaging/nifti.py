"""NIfTI-1 and NIfTI-2 volumes (`.nii`, `.nii.gz`): one slice, as radiologists look at it.

Header fields and orientation: https://nifti.nimh.nih.gov/nifti-1/documentation
"""

import io
import math
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from mmedagent.cases.imaging import grey
from mmedagent.cases.imaging.decoded import Decoded, refuse_bytes, refuse_size, refused
from mmedagent.cases.sources.contract import View

if TYPE_CHECKING:
    from mmedagent.recipes.sets import LimitsRecipe

AXES = {"sagittal": 0, "coronal": 1, "axial": 2}
"""The canonical axis (right, anterior, superior) that slices of a name are cut across."""
_HEADER = 65_536
"""Bytes unpacked to read a header and its extensions; the size it claims is judged first."""
_PERCENTILES = (0.5, 99.5)
_SAMPLE = 1_000_000


def decode(data: bytes, view: View, limits: "LimitsRecipe", place: str) -> Decoded:
    """Return slice `view.frame` across `view.axis`, counted from right, posterior or inferior.

    Axial: anterior on top, the patient's right on the left; coronal: head on top, right on the
    left; sagittal: head on top, anterior on the left; pixels are made square. Without
    `view.window` the volume's 0.5 and 99.5 percentiles (of at most a million voxels taken evenly)
    become black and white, the same for all its slices.
    """
    volume, header, turn = _volume(data, limits, place)
    if view.axis is None or view.frame is None:
        lengths = _lengths(volume.shape, turn)
        said = ", ".join(f"{lengths[AXES[name]]} {name}" for name in ("axial", "coronal"))
        raise refused(
            place,
            f"a volume of {said} and {lengths[0]} sagittal slices",
            "name one with `axis` and `frame` in the mapping, from 0",
        )
    axis = AXES[view.axis]
    length = _lengths(volume.shape, turn)[axis]
    if not 0 <= view.frame < length:
        raise refused(
            place, f"no {view.axis} slice {view.frame}: there are {length}", "slices count from 0"
        )
    pixels = _scaled(_slice(volume, turn, axis, view.frame), header)
    if not np.isfinite(pixels).all():
        # Masks of statistics programs: outside the brain there is no value.
        pixels = np.nan_to_num(pixels, nan=0.0, posinf=0.0, neginf=0.0)
    sizes = _sizes(header, turn)
    across, down = (size for number, size in enumerate(sizes) if number != axis)
    _check_square(pixels.shape, down, across, limits.max_pixels, place)
    if view.window is None:
        shades = grey.stretch(pixels, *_range(volume, header))
    else:
        shades = grey.window(pixels, *view.window)
    return Decoded(grey.square(grey.picture(shades), down, across), {"kind": "nifti"})


def frames(data: bytes, limits: "LimitsRecipe", place: str) -> int:
    """Return the number of axial slices."""
    volume, _, turn = _volume(data, limits, place)
    return _lengths(volume.shape, turn)[2]


def _volume(data: bytes, limits: "LimitsRecipe", place: str) -> tuple[Any, Any, Any]:
    """Return voxels [i, j, k] as stored, the header, and how to turn them to canonical axes."""
    packed = data.startswith(b"\x1f\x8b")
    start = _unpack(data, _HEADER, place)[0] if packed else data[:_HEADER]
    header = _header(start, place)
    shape = tuple(int(n) for n in header.get_data_shape())
    dtype = header.get_data_dtype()
    if len(shape) > 3 and all(n == 1 for n in shape[3:]):
        shape = shape[:3]
    if len(shape) != 3 or min(shape) < 1:
        raise refused(
            place, f"{len(shape)} dimensions", "save the one volume that the question is about"
        )
    if dtype.kind not in "iuf":
        raise refused(place, "voxels that are colours or complex", "save slices as PNG instead")
    offset = int(header["vox_offset"])
    size = offset + math.prod(shape) * dtype.itemsize
    if offset < 348 or size > limits.max_image_bytes:
        raise refused(
            place,
            f"the header claims {size} bytes, more than {limits.max_image_bytes}: not unpacked",
            "cut the volume, or raise `limits.max_image_bytes` of the data set if it is real",
        )
    raw = _whole(data, size, place) if packed else data
    refuse_bytes(raw, limits.max_image_bytes, place)
    if len(raw) < size:
        raise refused(place, f"cut off: {len(raw)} of {size} bytes", "transfer it again")
    if len(raw) > size:
        raise refused(
            place,
            f"polyglot file, {len(raw) - size} bytes after the volume",
            "export the volume again from its source",
        )
    voxels = np.frombuffer(raw, dtype, math.prod(shape), offset).reshape(shape, order="F")
    return voxels, header, _orientation(header, place)


def _header(start: bytes, place: str) -> Any:
    import nibabel
    from nibabel.spatialimages import HeaderDataError

    two = start[4:7] in (b"n+2", b"ni2")
    kind = nibabel.Nifti2Header if two else nibabel.Nifti1Header
    if start[344:347] == b"ni1" or start[4:7] == b"ni2":
        raise refused(place, "a NIfTI header without its voxels", "save it as one .nii file")
    if start[344:347] != b"n+1" and not two:
        raise refused(place, "a gzip file that holds no NIfTI volume", "give the image itself")
    try:
        return kind.from_fileobj(io.BytesIO(start), check=True)
    except (HeaderDataError, ValueError, OSError, EOFError, KeyError):
        raise refused(place, "a damaged NIfTI header", "export the volume again") from None


def _unpack(data: bytes, most: int, place: str) -> tuple[bytes, bool]:
    """Return at most `most` unpacked bytes, and whether the gzip stream ended within them."""
    unpacked, rest = bytearray(), data
    try:
        while rest.startswith(b"\x1f\x8b") and len(unpacked) < most:
            stream = zlib.decompressobj(31)
            unpacked += stream.decompress(rest, most - len(unpacked))
            if not stream.eof:
                return bytes(unpacked), False
            rest = stream.unused_data
    except zlib.error:
        raise refused(place, "the gzip data are damaged", "transfer it again") from None
    if rest.strip(b"\0"):
        raise refused(
            place,
            f"polyglot file, {len(rest)} bytes after the gzip data",
            "export the volume again from its source",
        )
    return bytes(unpacked), True


def _whole(data: bytes, size: int, place: str) -> bytes:
    """Unpack a volume of `size` bytes; more is a bomb, less was cut off."""
    raw, ended = _unpack(data, size + 1, place)
    if len(raw) > size:
        raise refused(
            place,
            f"gzip data that unpack to more than the {size} bytes of the header",
            "export the volume again from its source",
        )
    if not ended:
        raise refused(place, f"cut off: {len(raw)} of {size} bytes", "transfer it again")
    return raw


def _orientation(header: Any, place: str) -> Any:
    """Return nibabel's orientation: of each stored axis, the canonical axis and its direction."""
    import nibabel

    if not int(header["sform_code"]) and not int(header["qform_code"]):
        raise refused(
            place,
            "the header gives no orientation (sform and qform are 0), so no axis has a name",
            "write the orientation into it, or save slices as PNG",
        )
    affine = header.get_best_affine()
    turn = nibabel.io_orientation(affine) if np.isfinite(affine).all() else np.full((3, 2), np.nan)
    if not np.isfinite(turn).all():
        raise refused(place, "the header's orientation is singular", "export the volume again")
    return turn.astype(int)


def _lengths(shape: tuple[int, ...], turn: Any) -> list[int]:
    return [shape[_stored(turn, axis)] for axis in range(3)]


def _stored(turn: Any, axis: int) -> int:
    return int(np.flatnonzero(turn[:, 0] == axis)[0])


def _sizes(header: Any, turn: Any) -> list[float]:
    """Return the voxel's size along the canonical axes, in mm."""
    zooms = [float(size) for size in header.get_zooms()[:3]]
    return [zooms[_stored(turn, axis)] for axis in range(3)]


def _slice(volume: Any, turn: Any, axis: int, index: int) -> Any:
    """Return one slice [row, column] with the head or anterior on top, right or anterior left."""
    stored = _stored(turn, axis)
    position = index if turn[stored, 1] > 0 else volume.shape[stored] - 1 - index
    pixels = np.take(volume, position, axis=stored)
    left = [number for number in range(3) if number != stored]
    if turn[left[0], 0] > turn[left[1], 0]:
        pixels, left = pixels.T, left[::-1]
    # Now [lower canonical axis, higher one]: columns grow against the first, rows the second.
    for number, one in enumerate(left):
        if turn[one, 1] > 0:
            pixels = np.flip(pixels, number)
    return pixels.T


def _scaled(values: Any, header: Any) -> grey.Pixels:
    slope, intercept = header.get_slope_inter()
    scaled = values.astype(np.float64) * (slope or 1.0) + (intercept or 0.0)
    return np.asarray(scaled, np.float32)


def _range(volume: Any, header: Any) -> tuple[float, float]:
    flat = volume.reshape(-1, order="F")
    sample = _scaled(flat[:: max(1, flat.size // _SAMPLE)], header)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return 0.0, 0.0
    low, high = np.percentile(sample, _PERCENTILES)
    return float(low), float(high)


def _check_square(
    shape: tuple[int, ...], down: float, across: float, most: int, place: str
) -> None:
    """Refuse voxel sizes that are none, or that would blow a slice up beyond the limit."""
    if not (0 < down < math.inf and 0 < across < math.inf):
        raise refused(place, "voxels without a size in the header", "export the volume again")
    step = min(down, across)
    refuse_size(int(shape[1] * across / step), int(shape[0] * down / step), most, place)
