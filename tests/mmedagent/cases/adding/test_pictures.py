"""What is stored of an image: its pixels, no larger than wanted, and nothing else."""

import io

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mmedagent.cases.adding.pictures import Pictures, Stored, encoded, fitted
from mmedagent.cases.sources.contract import SourceImage
from mmedagent.recipes.privacy import PrivacyRecipe
from mmedagent.recipes.sets import DataSetRecipe, ImagesRecipe, SourceRecipe

RECIPE = DataSetRecipe(
    name="some",
    source=SourceRecipe(name="own"),
    release="release",
    sha256="0" * 64,
    images=ImagesRecipe(max_side=64),
    privacy=PrivacyRecipe(burned_in_text="keep"),
)


def _picture(width: int = 90, height: int = 60) -> Image.Image:
    draw = np.random.default_rng(3)
    return Image.fromarray(draw.integers(0, 255, (height, width, 3), dtype=np.uint8))


def _file(format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    _picture().save(buffer, format, **options)
    return buffer.getvalue()


def _stored(data: bytes) -> tuple[bytes, list[Stored]]:
    counted: list[Stored] = []
    image = SourceImage("row 1", lambda: data)
    return Pictures(RECIPE).store(image, counted.append), counted


def test_a_large_image_keeps_its_shape() -> None:
    assert fitted(_picture(), 45).size == (45, 30)
    assert fitted(_picture(), 90).size == (90, 60)
    assert fitted(_picture(1000, 2), 100).size == (100, 1)


def test_a_jpeg_stays_one_and_all_else_becomes_png() -> None:
    assert _stored(_file("JPEG"))[0].startswith(b"\xff\xd8")
    for other in ("PNG", "TIFF"):
        assert _stored(_file(other))[0].startswith(b"\x89PNG")


def test_png_pixels_are_kept_to_the_bit() -> None:
    image = _picture(40, 30)
    again = Image.open(io.BytesIO(encoded(image, jpeg=False)))
    assert again.tobytes() == image.tobytes()


def test_what_a_file_says_beside_its_pixels_is_not_stored() -> None:
    words = PngInfo()
    words.add_text("Comment", "Jane Roe, born 1961-02-03")
    exif = Image.Exif()
    exif[0x010E] = "Jane Roe"
    for data in (_file("PNG", pnginfo=words), _file("JPEG", exif=exif, comment=b"Jane Roe")):
        assert b"Jane Roe" in data
        stored = _stored(data)[0]
        assert b"Jane" not in stored and not Image.open(io.BytesIO(stored)).getexif()


def test_one_image_of_several_questions_is_worked_on_once() -> None:
    counted: list[Stored] = []
    pictures, data = Pictures(RECIPE), _file("PNG")
    stored = [
        pictures.store(SourceImage(f"row {n}", lambda: data), counted.append) for n in range(3)
    ]
    assert len(set(stored)) == 1 and len(counted) == 1
