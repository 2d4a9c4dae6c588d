"""DICOM that must not get in: what is said, and that nothing of a header is said."""

import io
import zlib

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmedagent.cases.imaging.decode import decode
from mmedagent.cases.sources.contract import View
from mmedagent.errors import BadDataError, ExitCode
from mmedagent.recipes.sets import LimitsRecipe
from tests.mmedagent.cases.imaging.files import (
    LIMITS,
    NAME,
    NUMBER,
    PLACE,
    declared,
    dicom,
    pixels,
    real,
    saved,
)

IMPLICIT, EXPLICIT, BIG = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".2"))
DEFLATED, RLE = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"
JPEG, JPEG_LS, J2K, MPEG4 = (f"1.2.840.10008.1.2.4.{end}" for end in (50, 80, 90, 102))


def refusal(data: bytes, limits: LimitsRecipe = LIMITS) -> str:
    """The message without its place, which it must begin with."""
    with pytest.raises(BadDataError) as caught:
        pixels(data, limits)
    assert caught.value.exit_code == ExitCode.BAD_DATA == 13
    message = str(caught.value)
    assert message.startswith(f"{PLACE}: ") and "; " in message
    return message.removeprefix(f"{PLACE}: ")


@pytest.mark.parametrize(
    ("name", "syntax", "found"),
    [
        ("MR_small.dcm", IMPLICIT, "elements are written with explicit VR"),
        ("MR_small_implicit.dcm", EXPLICIT, "elements are written with implicit VR"),
        ("MR_small.dcm", BIG, "bytes are in the other order"),
        ("MR_small_bigendian.dcm", EXPLICIT, "bytes are in the other order"),
        ("MR_small.dcm", DEFLATED, "data are not deflated"),
        ("MR_small.dcm", JPEG, "pixels are not compressed"),
        ("MR_small_RLE.dcm", EXPLICIT, "pixels are in compressed items"),
        ("MR_small_RLE.dcm", J2K, "frame is RLE"),
        ("MR_small_jp2klossless.dcm", JPEG, "frame is JPEG 2000"),
        ("MR_small_jp2klossless.dcm", RLE, "frame is JPEG 2000"),
        ("SC_rgb_jpeg_dcmtk.dcm", J2K, "frame is JPEG"),
        ("SC_rgb_jpeg_dcmtk.dcm", JPEG_LS, "frame is JPEG"),
        ("MR_small_jpeg_ls_lossless.dcm", JPEG, "frame is JPEG-LS"),
    ],
)
def test_a_wrong_transfer_syntax_is_named(name: str, syntax: str, found: str) -> None:
    message = refusal(declared(real(name), syntax))
    assert message.startswith("wrong transfer syntax: ") and found in message
    assert pydicom.uid.UID(syntax).name in message


def test_a_transfer_syntax_is_needed_and_known() -> None:
    assert "no transfer syntax (0002,0010) is declared" in refusal(real("meta_missing_tsyntax.dcm"))
    assert "none that DICOM defines" in refusal(declared(real("MR_small.dcm"), "1.2.3.4"))


def test_a_compression_that_nothing_reads_is_named() -> None:
    message = refusal(declared(real("MR_small_jp2klossless.dcm"), MPEG4))
    assert message.startswith("no decoder for the compression MPEG-4 AVC/H.264")
    assert "export it uncompressed" in message


def test_truncated_pixel_data_are_counted() -> None:
    assert refusal(real("MR_truncated.dcm")).startswith("truncated pixel data: 8130 of 8192 bytes")


@pytest.mark.parametrize(
    "name", ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "SC_rgb_jpeg_dcmtk.dcm"]
)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_compressed_file_that_is_cut_off_is_refused(name: str, share: float) -> None:
    data = real(name)
    refusal(data[: int(len(data) * share)])


def test_a_compressed_frame_without_its_end_is_refused() -> None:
    dataset = pydicom.dcmread(io.BytesIO(real("MR_small_jp2klossless.dcm")))
    frame = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = pydicom.encaps.encapsulate([frame[: len(frame) // 2]])
    assert "truncated pixel data: the compressed frame has no end" in refusal(saved(dataset))


def test_the_claimed_size_is_judged_before_decoding() -> None:
    message = refusal(dicom(Rows=65535, Columns=65535))
    assert message.startswith("the header claims 65535x65535 pixels, more than 100000000")


def test_a_codestream_that_claims_another_size_never_meets_a_decoder() -> None:
    data = real("MR_small_jp2klossless.dcm")
    at = data.index(b"\xff\x4f\xff\x51") + 8
    huge = data[:at] + (60_000).to_bytes(4, "big") * 2 + data[at + 8 :]
    assert "the compressed frame claims 60000x60000 pixels and the header 64x64" in refusal(huge)


def test_a_deflate_bomb_is_not_unpacked() -> None:
    data = declared(dicom(), DEFLATED)
    start = data.index(b"\x08\x00\x16\x00")
    pack = zlib.compressobj(wbits=-15)
    packed = pack.compress(bytes(50_000_000)) + pack.flush()
    assert len(packed) < 100_000
    bomb = data[:start] + packed
    message = refusal(bomb, LimitsRecipe(max_image_bytes=1_000_000))
    assert message.startswith("deflated data of more than 1000000 bytes")


@pytest.mark.parametrize(
    "start", [b"MZ\x90\x00", b"\x7fELF", b"#!/bin/sh\n", b"<html>", b"%PDF-1.7"]
)
def test_another_file_in_the_preamble_is_refused(start: bytes) -> None:
    data = dicom()
    polyglot = start + data[len(start) :]
    assert "polyglot file, DICOM that also holds another file in its preamble" in refusal(polyglot)


def test_a_tiff_in_the_preamble_may_show_the_same_picture_alone() -> None:
    assert pixels(real("MR_small.dcm")).shape == (64, 64)  # it has a TIFF's preamble
    assert pixels(_twin(8)).shape == (8, 8)
    assert "polyglot file, DICOM and a TIFF of another size" in refusal(_twin(9))


def _twin(side: int) -> bytes:
    """A DICOM file of 8x8 pixels that also is a TIFF of `side` x `side`."""
    entries = [(256, side), (257, side), (258, 8), (259, 1), (262, 1), (273, 8), (278, side)]
    entries.append((279, side * side))
    table = len(entries).to_bytes(2, "little")
    for tag, value in entries:
        table += tag.to_bytes(2, "little") + b"\4\0\1\0\0\0" + value.to_bytes(4, "little")
    dataset = pydicom.dcmread(io.BytesIO(dicom()))
    dataset.add_new(0xFFFCFFFC, "OB", table + b"\0" * 4)
    data = saved(dataset)
    header = b"II*\0" + data.index(table).to_bytes(4, "little")
    return header + data[8:]


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"NumberOfFrames": 0}, None),
        ({"WindowCenter": 40, "WindowWidth": 0}, "the file's own window is not valid"),
        ({"PhotometricInterpretation": "HSV"}, "photometric interpretation that is not read"),
        ({"Rows": None}, "DICOM pixels without Rows"),
        ({"PixelData": None}, "its pixel data are missing or cut off"),
        ({"PixelSpacing": [-1, 1]}, "pixels without a size"),
    ],
)
def test_headers_that_make_no_picture(elements: dict[str, object], said: str | None) -> None:
    dataset = pydicom.dcmread(io.BytesIO(dicom()))
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    if said is None:
        assert pixels(saved(dataset)).shape == (8, 8)
    else:
        assert said in refusal(saved(dataset))


def test_windows_and_axes_that_do_not_apply_are_refused() -> None:
    with pytest.raises(BadDataError, match="a window is given and the image is in colour"):
        pixels(real("SC_rgb_rle.dcm"), window=(1.0, 2.0))
    with pytest.raises(BadDataError, match="a DICOM file has no axial slices"):
        pixels(dicom(), axis="axial")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_broken_files_give_a_picture_or_a_message_without_the_patient(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from(WHOLE))
    broken = bytearray(whole[: data.draw(st.integers(1, len(whole)))])
    for _ in range(data.draw(st.integers(0, 6))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = decode(bytes(broken), View(), LimitsRecipe(max_pixels=1_000_000), PLACE).image
    except BadDataError as error:
        assert str(error).startswith(PLACE)
        assert NAME not in str(error) and NUMBER not in str(error) and "QUARK" not in str(error)
        assert error.__cause__ is None  # A worker's traceback would print it.
    else:
        assert image.mode in ("L", "RGB")


def _planted(name: str) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(real(name)))
    dataset.PatientName, dataset.PatientID = NAME, NUMBER
    return saved(dataset)


WHOLE = [
    dicom(np.arange(256, dtype=np.uint16).reshape(16, 16), InstitutionName=NAME),
    _planted("MR_small_RLE.dcm"),
    _planted("MR_small_jp2klossless.dcm"),
    _planted("SC_rgb_jpeg_dcmtk.dcm"),
    _planted("reportsi.dcm"),
]


def test_deflated_files_are_read_and_their_cuts_refused() -> None:
    data = real("image_dfl.dcm")
    assert pixels(data).shape == (512, 512)
    assert refusal(data[: len(data) // 2]).startswith("the deflated data are cut off; transfer")


def test_frames_that_are_missing_or_not_decodable() -> None:
    assert refusal(real("JPEG-lossy.dcm")).startswith("its pixel data cannot be decoded (")
    dataset = pydicom.dcmread(io.BytesIO(real("SC_rgb_rle_2frame.dcm")))
    [first, _] = pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=2)
    dataset.PixelData = pydicom.encaps.encapsulate([first])
    with pytest.raises(BadDataError, match="frame 1 is missing or cut off"):
        pixels(saved(dataset), frame=1)
    dataset.NumberOfFrames = 1
    dataset.PixelData = pydicom.encaps.encapsulate([first + bytes(200_000)])
    assert refusal(saved(dataset)).startswith("an RLE frame longer than its picture")
    dataset.PixelData = pydicom.encaps.encapsulate([b"not a frame "])
    assert "declared and the frame is of no known compression" in refusal(saved(dataset))


def test_an_uncompressed_file_with_items_is_another_syntax() -> None:
    dataset = pydicom.dcmread(io.BytesIO(dicom()))
    dataset.PixelData = b"\xfe\xff\x00\xe0" + bytes(300)
    assert "the pixels are in compressed items" in refusal(saved(dataset))
