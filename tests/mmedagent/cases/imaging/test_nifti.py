"""NIfTI: slices as radiologists look at them, however the voxels are stored; bombs and cuts."""

import gzip
import io
from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from mmedagent.cases.imaging.decode import decode, frames
from mmedagent.cases.sources.contract import View
from mmedagent.errors import BadDataError, ExitCode
from mmedagent.recipes.sets import LimitsRecipe
from tests.mmedagent.cases.imaging.files import LIMITS, PLACE, pixels

REAL = Path(nibabel.__file__).parent / "tests" / "data"
SHAPE = (5, 6, 7)
BODY = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
"""Voxels [right, anterior, superior], each of its own value."""
CODES = [
    "".join(axis[way] for axis, way in zip(order, ways, strict=True))
    for order in permutations(("LR", "PA", "IS"))
    for ways in product((0, 1), repeat=3)
]
WINDOW = {"window": (105.5, 211.0)}


def nifti(voxels: np.ndarray, affine: np.ndarray | None = None) -> bytes:
    return nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine).to_bytes()


def refusal(data: bytes, limits: LimitsRecipe = LIMITS, **view: Any) -> str:
    with pytest.raises(BadDataError) as caught:
        pixels(data, limits, **({"axis": "axial", "frame": 1} | view))
    assert caught.value.exit_code == ExitCode.BAD_DATA == 13
    assert str(caught.value).startswith(f"{PLACE}: ")
    return str(caught.value).removeprefix(f"{PLACE}: ")


def stored(code: str) -> bytes:
    """BODY as a file whose voxels are stored along the axes `code`: `LPS`, `AIR`, ..."""
    turn = ornt_transform(io_orientation(np.eye(4)), axcodes2ornt(code))
    voxels = nibabel.apply_orientation(BODY, turn)
    return nifti(voxels, inv_ornt_aff(turn, SHAPE))


@pytest.mark.parametrize("code", CODES)
def test_slices_are_the_same_however_the_voxels_are_stored(code: str) -> None:
    data = stored(code)
    shades = np.clip((BODY - 105.0) / 210 + 0.5, 0, 1) * 255
    # Axial: anterior on top, right on the left; the others: the head on top.
    expected = {
        "axial": shades[::-1, ::-1, 2].T,
        "coronal": shades[::-1, 2, ::-1].T,
        "sagittal": shades[2, ::-1, ::-1].T,
    }
    for axis, picture in expected.items():
        found = pixels(data, axis=axis, frame=2, **WINDOW)
        assert found.shape == picture.shape
        assert np.abs(found - picture).max() <= 0.51, (code, axis)


def test_slices_count_from_right_posterior_and_inferior_in_every_packing() -> None:
    data = nifti(BODY)
    assert frames(data, LIMITS, PLACE) == 7
    low = pixels(data, axis="axial", frame=0, **WINDOW)
    assert low.max() < pixels(data, axis="axial", frame=6, **WINDOW).max()
    packed = gzip.compress(data)
    assert np.array_equal(
        pixels(packed, axis="coronal", frame=3), pixels(data, axis="coronal", frame=3)
    )
    two = nibabel.Nifti2Image(BODY, np.eye(4)).to_bytes()
    assert np.array_equal(pixels(two, axis="axial", frame=0, **WINDOW), low)


def test_slope_and_voxel_sizes_count() -> None:
    image = nibabel.Nifti1Image(BODY.astype(np.int16), np.diag([1.0, 2.0, 1.0, 1.0]))
    image.header.set_slope_inter(2.0, -100.0)
    data = image.to_bytes()
    found = pixels(data, axis="axial", frame=0, window=(0.0, 1.0))
    assert found.shape == (12, 5)
    middle = BODY[:, :, 0].T[::-1, ::-1] * 2.0 - 100 > -0.5
    assert np.array_equal(found[1::2] > 127, middle) or np.array_equal(found[::2] > 127, middle)


def test_without_a_window_all_slices_share_the_volumes_percentiles() -> None:
    voxels = np.zeros((20, 20, 20), np.float32)
    voxels[:, :, 10:] = 100
    data = nifti(voxels)
    assert pixels(data, axis="axial", frame=0).max() == 0
    assert pixels(data, axis="axial", frame=15).min() == 255
    voxels[0, 0, 0] = np.nan
    assert pixels(nifti(voxels), axis="axial", frame=0).max() == 0


def test_real_files_are_read() -> None:
    anatomy = (REAL / "anatomical.nii").read_bytes()
    picture = pixels(anatomy, axis="axial", frame=12)
    assert picture.ndim == 2 and len(np.unique(picture)) > 50
    assert refusal((REAL / "example_nifti2.nii.gz").read_bytes()).startswith("4 dimensions")
    assert refusal((REAL / "example4d.nii.gz").read_bytes()).startswith(
        "4 dimensions; save the one"
    )


def test_a_slice_is_named_never_guessed() -> None:
    data = nifti(BODY)
    said = "a volume of 7 axial, 6 coronal and 5 sagittal slices; name one with `axis` and `frame`"
    assert refusal(data, axis=None).startswith(said)
    assert refusal(data, frame=None).startswith(said)
    assert refusal(data, axis="sagittal", frame=5).startswith("no sagittal slice 5: there are 5")


def test_a_volume_without_orientation_has_no_named_slices() -> None:
    data = nifti(BODY)
    assert "gives no orientation" in refusal(data[:252] + bytes(4) + data[256:])
    flat = np.diag([1.0, 0.0, 1.0, 1.0])
    image = nibabel.Nifti1Image(BODY, None)
    image.header.set_sform(flat, 1)
    assert "orientation is singular" in refusal(image.to_bytes())


def test_gzip_bombs_are_not_unpacked() -> None:
    data = nifti(BODY)
    bomb = gzip.compress(data + bytes(50_000_000))
    assert len(bomb) < 100_000
    assert refusal(bomb).startswith(f"gzip data that unpack to more than the {len(data)} bytes")
    header = bytearray(data[:352])
    header[42:48] = np.array([30_000, 30_000, 30_000], "<i2").tobytes()
    message = refusal(gzip.compress(bytes(header)))
    assert "the header claims 54000000000352 bytes" in message and "not unpacked" in message
    assert refusal(data, LimitsRecipe(max_pixels=20)).startswith("the header claims 5x6 pixels")


def test_voxel_sizes_blow_no_slice_up() -> None:
    wide = nifti(BODY, np.diag([1e-8, 1.0, 1.0, 1.0]))
    assert "more than 100000000" in refusal(wide)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_files_that_are_cut_off_are_refused(share: float) -> None:
    data = nifti(np.random.default_rng(0).integers(0, 99, (30, 30, 30), np.int16))
    assert refusal(data[: int(len(data) * share)]).startswith("cut off: ")
    packed = gzip.compress(data)
    assert refusal(packed[: int(len(packed) * share)]).startswith("cut off: ")
    assert refusal(data + b"payload").startswith("polyglot file, 7 bytes after the volume")
    assert refusal(packed + b"payload").startswith("polyglot file, 7 bytes after the gzip data")
    damaged = bytearray(packed)
    damaged[len(damaged) // 2 :] = b"\xff" * (len(damaged) - len(damaged) // 2)
    refusal(bytes(damaged))


def test_what_is_no_volume_of_measured_values_is_refused() -> None:
    assert "a gzip file that holds no NIfTI" in refusal(gzip.compress(b"hello" * 100))
    assert "colours or complex" in refusal(nifti(BODY.astype(np.complex64)))
    pair = nibabel.Nifti1Pair(BODY, np.eye(4))
    header = io.BytesIO()
    pair.header.write_to(header)
    assert "header without its voxels" in refusal(header.getvalue() + bytes(8))


def test_the_picture_is_grey() -> None:
    decoded = decode(nifti(BODY), View(axis="axial", frame=1), LIMITS, PLACE)
    assert decoded.image.mode == "L" and decoded.facts == {"kind": "nifti"}


def test_empty_fourth_dimensions_are_none() -> None:
    data = nifti(BODY[..., None, None])
    assert np.array_equal(
        pixels(data, axis="axial", frame=1), pixels(nifti(BODY), axis="axial", frame=1)
    )


def test_voxels_without_a_size_are_refused() -> None:
    data = bytearray(nifti(BODY))
    data[80:84] = np.float32(np.inf).tobytes()  # pixdim[1]
    assert "voxels without a size" in refusal(bytes(data))
