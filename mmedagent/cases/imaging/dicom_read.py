"""Reads a DICOM file (PS3.10) after judging that its bytes are what its header declares.

pydicom mends what does not fit and warns with the values it met. Here nothing is mended, no value
of a header reaches a log or a message, and the header is de-identified before anything uses it.
"""

import io
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any

from mmedagent.cases.imaging.decoded import refuse_size, refused

if TYPE_CHECKING:
    from mmedagent.recipes.sets import LimitsRecipe

_VRS = (
    *("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "OB", "OD", "OF"),
    *("OL", "OV", "OW", "PN", "SH", "SL", "SQ", "SS", "ST", "SV", "TM", "UC", "UI", "UL", "UN"),
    *("UR", "US", "UT", "UV"),
)
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_NEEDED = ("Rows", "Columns", "BitsAllocated", "SamplesPerPixel", "PhotometricInterpretation")
_DEFLATED = "1.2.840.10008.1.2.1.99"
_AGAIN = "export the file again from the archive"


def read(data: bytes, limits: "LimitsRecipe", place: str) -> tuple[Any, Counter[str]]:
    """Return the de-identified dataset and what de-identification removed, counted by kind.

    Raises `BadDataError` when it cannot be read, does not fit its declared transfer syntax, or
    holds no picture.
    """
    import pydicom

    from mmedagent.cases.privacy.dicom import deidentify

    syntax = _check_syntax(data, limits, place)
    try:
        dataset = pydicom.dcmread(io.BytesIO(data))
        removed = deidentify(dataset)
    except Exception as error:
        # pydicom raises a dozen kinds on broken files, and their texts repeat values.
        raise refused(
            place, f"a DICOM header that is damaged or cut off ({type(error).__name__})", _AGAIN
        ) from None
    _check_picture(dataset, limits, place)
    _check_pixel_data(dataset, syntax, place)
    _check_twin(data, dataset, place)
    return dataset, removed


def frame_count(dataset: Any, place: str) -> int:
    """Return NumberOfFrames, 1 where it is absent. Raises `BadDataError` when it is no number."""
    try:
        number = int(dataset.get("NumberOfFrames") or 1)
    except (ValueError, TypeError):
        raise refused(place, "NumberOfFrames (0028,0008) is no number", _AGAIN) from None
    if number < 1:
        raise refused(place, "NumberOfFrames (0028,0008) is below 1", _AGAIN)
    return number


def _check_syntax(data: bytes, limits: "LimitsRecipe", place: str) -> Any:
    """Return the declared transfer syntax; refuse bytes that are not in it."""
    from pydicom.filereader import read_dataset
    from pydicom.uid import UID

    file = io.BytesIO(data)
    file.seek(132)
    try:
        meta = read_dataset(file, False, True, stop_when=lambda tag, *_: tag.group != 2)
        uid = meta.get("TransferSyntaxUID")
    except Exception as error:
        raise refused(
            place, f"damaged DICOM file meta information ({type(error).__name__})", _AGAIN
        ) from None
    if not uid:
        raise refused(
            place,
            "no transfer syntax (0002,0010) is declared, so the encoding would be a guess",
            _AGAIN,
        )
    syntax = UID(str(uid))
    if not syntax.is_transfer_syntax:
        raise refused(place, "the declared transfer syntax is none that DICOM defines", _AGAIN)
    _check_bytes(data[file.tell() :], syntax, limits, place)
    return syntax


def _check_bytes(body: bytes, syntax: Any, limits: "LimitsRecipe", place: str) -> None:
    if syntax == _DEFLATED:
        stream = zlib.decompressobj(-15)
        try:
            size = len(stream.decompress(body, limits.max_image_bytes + 1))
        except zlib.error:
            raise _misfit(syntax, "the data are not deflated", place) from None
        if size > limits.max_image_bytes:
            raise refused(
                place,
                f"deflated data of more than {limits.max_image_bytes} bytes",
                "export it in another transfer syntax",
            )
        if not stream.eof:
            raise refused(place, "the deflated data are cut off", "transfer the file again")
        return
    if len(body) < 8:
        raise refused(place, "cut off after the file meta information", "transfer it again")
    little, big = (int.from_bytes(body[:2], order) for order in ("little", "big"))
    declared, other = (little, big) if syntax.is_little_endian else (big, little)
    if declared > 0xFF >= other:
        raise _misfit(syntax, "the bytes are in the other order", place)
    explicit = body[4:6].decode("latin-1") in _VRS
    if explicit == syntax.is_implicit_VR:
        found = "explicit" if explicit else "implicit"
        raise _misfit(syntax, f"the elements are written with {found} VR", place)


def _misfit(syntax: Any, found: str, place: str) -> Exception:
    return refused(place, f"wrong transfer syntax: {syntax.name} is declared and {found}", _AGAIN)


def _check_picture(dataset: Any, limits: "LimitsRecipe", place: str) -> None:
    """Refuse what holds no picture, or claims one beyond the limit."""
    from pydicom.uid import UID

    held = [name for name in _PIXELS if name in dataset]
    if not held:
        if "Rows" in dataset:
            raise refused(
                place, "its pixel data are missing or cut off", "transfer the whole file again"
            )
        uid = UID(str(dataset.get("SOPClassUID") or ""))
        kind = uid.name if uid and uid.name != uid else "of no known class, or cut off"
        raise refused(
            place, f"DICOM without pixels ({kind})", "leave it out: it is no image to ask about"
        )
    if missing := [name for name in _NEEDED if dataset.get(name) is None]:
        raise refused(place, f"DICOM pixels without {', '.join(missing)}", _AGAIN)
    refuse_size(int(dataset.Columns), int(dataset.Rows), limits.max_pixels, place)


def _check_pixel_data(dataset: Any, syntax: Any, place: str) -> None:
    """Refuse pixel data that are encapsulated and should not be, the other way, or cut off."""
    if "PixelData" not in dataset:
        return
    # Frames of a compressed syntax lie in items; their length is undefined (PS3.5, A.4).
    items = dataset.PixelData[:4] in (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
    if syntax.is_encapsulated:
        if not items or not dataset["PixelData"].is_undefined_length:
            raise _misfit(syntax, "the pixels are not compressed", place)
        return
    bits = int(dataset.Rows) * int(dataset.Columns) * int(dataset.SamplesPerPixel)
    bits *= int(dataset.BitsAllocated) * frame_count(dataset, place)
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        bits = bits * 2 // 3
    if dataset["PixelData"].is_undefined_length:
        raise _misfit(syntax, "the pixels are in compressed items", place)
    expected, there = (bits + 7) // 8, len(dataset.PixelData)
    if there < expected:
        raise refused(
            place, f"truncated pixel data: {there} of {expected} bytes", "transfer it again"
        )
    if there > expected + expected % 2 and items:
        raise _misfit(syntax, "the pixels are in compressed items", place)


def _check_twin(data: bytes, dataset: Any, place: str) -> None:
    """Refuse a TIFF in the preamble that shows another picture than the DICOM file does.

    PS3.10, section 7.1, allows a TIFF of the same pixels, and some devices write one.
    """
    if not data.startswith((b"II", b"MM")):
        return
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("TIFF",)) as twin:
            size = twin.size
    except Exception:
        return  # Its directory is gone: no TIFF reader shows anything.
    if size != (int(dataset.Columns), int(dataset.Rows)):
        raise refused(
            place, "polyglot file, DICOM and a TIFF of another size", "clear its preamble"
        )
