"""PNG, JPEG, TIFF, GIF and BMP: by their bytes, whole, one picture, nothing behind it."""

import io
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmedagent.cases.imaging.decode import decode, facts, frames
from mmedagent.cases.sources.contract import View
from mmedagent.errors import BadDataError, ExitCode
from mmedagent.recipes.sets import LimitsRecipe
from tests.mmedagent.cases.examples import bomb
from tests.mmedagent.cases.imaging.files import LIMITS, PLACE, encoded, pixels, plain

FORMATS = ["PNG", "JPEG", "TIFF", "BMP", "GIF"]
ENDED = ["PNG", "JPEG", "GIF", "BMP"]


def refusal(data: bytes, limits: LimitsRecipe = LIMITS, **view: Any) -> str:
    with pytest.raises(BadDataError) as caught:
        pixels(data, limits, **view)
    assert caught.value.exit_code == ExitCode.BAD_DATA == 13
    message = str(caught.value)
    assert message.startswith(f"{PLACE}: ") and "; " in message
    return message.removeprefix(f"{PLACE}: ")


def pages(count: int, **how: Any) -> bytes:
    images = [Image.new("L", (8, 8), 40 * number) for number in range(count)]
    return encoded(images[0], "TIFF", save_all=True, append_images=images[1:], **how)


@pytest.mark.parametrize("format", FORMATS)
def test_a_picture_of_every_kind_comes_back(format: str) -> None:
    picture = pixels(plain(format=format))
    expected = pixels(plain(format="PNG"))
    assert picture.shape == expected.shape == (20, 24, 3)
    assert np.abs(picture.astype(int) - expected).mean() < (12 if format in ("JPEG", "GIF") else 1)
    assert decode(plain(format=format), View(), LIMITS, PLACE).facts == {"kind": format.lower()}
    assert frames(plain(format=format), LIMITS, PLACE) == 1


def test_depth_alpha_and_orientation() -> None:
    deep = encoded(Image.fromarray(np.array([[1000, 2000], [3000, 5000]], np.uint16)))
    assert pixels(deep).tolist() == [[0, 64], [128, 255]]
    assert pixels(deep, window=(2000.5, 2001.0)).tolist() == [[0, 128], [255, 255]]
    clear = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    clear.putpixel((1, 0), (255, 0, 0, 255))
    assert pixels(encoded(clear)).tolist() == [[[255, 255, 255], [255, 0, 0]]]
    exif = Image.Exif()
    exif[274] = 6  # the camera was turned by a quarter
    assert pixels(encoded(Image.new("L", (9, 4)), "JPEG", exif=exif)).shape == (9, 4)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate", "packbits", "jpeg"])
def test_tiff_pages_are_named(compression: str | None) -> None:
    data = pages(3, compression=compression)
    assert frames(data, LIMITS, PLACE) == 3
    assert refusal(data) == "a TIFF of 3 pages; name the page with `frame` in the mapping, from 0"
    assert abs(int(pixels(data, frame=2)[0, 0]) - 80) < 3
    assert refusal(data, frame=3) == "no page 3: the TIFF has 3; pages count from 0"
    assert pixels(pages(1)).shape == (8, 8)


def test_a_frame_axis_or_window_that_does_not_apply_is_refused() -> None:
    assert refusal(plain(), frame=1) == "a PNG has one frame, 0; take `frame` out"
    assert refusal(plain(), axis="axial").startswith("a PNG has no axial slices")
    assert "the image has 8 bits" in refusal(plain(), window=(40.0, 400.0))


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_animations_are_refused(format: str) -> None:
    images = [Image.new("L", (8, 8), 40 * number) for number in range(3)]
    data = encoded(images[0], format, save_all=True, append_images=images[1:])
    assert refusal(data).startswith(f"an animated {format}; save the one picture")


def test_a_bomb_is_judged_by_its_header() -> None:
    message = refusal(bomb())
    assert "header claims" in message and "scale the image down" in message
    small = LimitsRecipe(max_pixels=100)
    for format in FORMATS:
        assert refusal(plain(format=format), small).startswith("the header claims 24x20 pixels")
    assert refusal(plain(), LimitsRecipe(max_image_bytes=10)).startswith(f"{len(plain())} bytes")
    assert refusal(b"") == "the file is empty; transfer it again"


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("payload.txt", "hello")
    return buffer.getvalue()


@pytest.mark.parametrize("format", ENDED)
@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (archive(), "that also holds a zip archive"),
        (b"<html><script>alert(1)</script>", "that also holds a web page or script"),
        (b"secret bytes", "12 bytes after the end"),
        (plain(), "after the end"),
    ],
    ids=["zip", "html", "bytes", "image"],
)
def test_polyglot_files_are_refused(format: str, payload: bytes, said: str) -> None:
    message = refusal(plain(format=format) + payload)
    assert message.startswith("polyglot file") and said in message
    assert "export the image again" in message


def test_polyglots_without_anything_behind_are_refused_too() -> None:
    hidden = encoded(Image.new("L", (8, 8)), "JPEG", comment=b"%PDF-1.4 1 0 obj")
    assert "JPEG that also holds a PDF" in refusal(hidden)
    script = encoded(Image.new("L", (8, 8)), "JPEG", comment=b"<?php system(1) ?>")
    assert "holds a web page or script" in refusal(script)
    inside = encoded(Image.new("L", (8, 8)), "JPEG", comment=archive())
    assert "holds a zip archive" in refusal(inside)
    two = bytearray(plain(size=(64, 64)))
    two[128:132] = b"DICM"
    assert refusal(bytes(two)).startswith("polyglot file, PNG and DICOM at once")
    assert "TIFF that also holds a zip archive" in refusal(plain(format="TIFF") + archive())


def test_a_phones_photograph_may_announce_pictures_behind_it() -> None:
    first, second = (Image.fromarray(np.full((40, 30), n, np.uint8)) for n in (50, 200))
    both = encoded(first, "MPO", save_all=True, append_images=[second])
    assert len(both) > len(encoded(first, "JPEG")) + 300
    assert abs(int(pixels(both).mean()) - 50) < 3
    assert pixels(both + b"\0\0").shape == (40, 30)
    assert "bytes after the end of the JPEG" in refusal(both + b"payload")
    at = both.rindex(b"\xff\xd8")
    hidden = both[:at] + b"other data " + both[at + 11 :]
    assert "bytes after the end of the JPEG" in refusal(hidden)


@pytest.mark.parametrize("format", ENDED)
def test_padding_behind_an_image_is_no_payload(format: str) -> None:
    data = plain(format=format)
    assert np.array_equal(pixels(data + b"\0" * 100 + b"\r\n"), pixels(data))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"%PDF-1.7 ...", "a PDF"),
        (archive(), "a zip archive"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "a RIFF file"),
        (b"{'a': 1}", "text"),
        (b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100", "DICOM without its 128-byte preamble"),
        (b"\x12\x34\x56", "unknown data"),
    ],
)
def test_other_files_are_named(data: bytes, said: str) -> None:
    assert refusal(data).startswith(f"not an image of a known kind but {said}")


def test_only_dicom_has_a_header_to_ask() -> None:
    with pytest.raises(BadDataError, match="no DICOM file, so no header says its modality"):
        facts(plain(), LIMITS, PLACE)


WHOLE = [plain(format=format, size=(16, 12)) for format in [*FORMATS, "MPO"]] + [pages(2)]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(WHOLE), st.data())
def test_broken_files_give_a_picture_or_a_message(whole: bytes, data: st.DataObject) -> None:
    broken = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 5))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = decode(bytes(broken), View(frame=0), LimitsRecipe(max_pixels=10**6), PLACE).image
    except BadDataError as error:
        assert str(error).startswith(PLACE)
    else:
        assert image.mode in ("L", "RGB")


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(WHOLE[:5]), st.floats(0, 0.98))
def test_a_file_that_is_cut_off_is_refused(whole: bytes, share: float) -> None:
    refusal(whole[: int(len(whole) * share)])
