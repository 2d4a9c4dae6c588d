"""One compressed DICOM frame: whether it is what the header declares, before a decoder meets it.

Codestream markers: ITU T.81 table B.1 (JPEG), T.87 (JPEG-LS: SOF55), T.800 annex A (JPEG 2000),
DICOM PS3.5 annex G (RLE). Frames in items: PS3.5 annex A.4.
"""

import re
from typing import Any

from mmedagent.cases.imaging.decoded import refused

_AGAIN = "export the file again from the archive"
_FRAME_START = re.compile(rb"\xff+([\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf\xf7])", re.S)
_FAMILY = {
    **dict.fromkeys(("4.50", "4.51"), "JPEG"),
    **dict.fromkeys(("4.57", "4.70"), "lossless JPEG"),
    **dict.fromkeys(("4.80", "4.81"), "JPEG-LS"),
    **dict.fromkeys(("4.90", "4.91", "4.201", "4.202", "4.203"), "JPEG 2000"),
    "5": "RLE",
}
_ROOT = "1.2.840.10008.1.2."
_JP2 = b"\x00\x00\x00\x0cjP  "


def frame_bytes(dataset: Any, syntax: Any, index: int, count: int, place: str) -> bytes:
    """Return one frame's codestream, checked.

    Raises `BadDataError` when nothing here decodes the syntax, the frame is not there or cut off,
    is of another compression than declared, or has another size than the header says.
    """
    from pydicom.encaps import get_frame

    family = _FAMILY.get(str(syntax).removeprefix(_ROOT))
    if family is None:
        raise refused(
            place,
            f"no decoder for the compression {syntax.name}",
            "have the archive export it uncompressed or as JPEG 2000, or as single images",
        )
    table = dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths")
    extended = table if all(table) else None
    try:
        frame = get_frame(
            dataset.PixelData, index, number_of_frames=count, extended_offsets=extended
        )
    except Exception as error:
        # What pydicom says of broken items repeats their bytes.
        raise refused(
            place, f"frame {index} is missing or cut off ({type(error).__name__})", _AGAIN
        ) from None
    found = _family(frame)
    if found != family:
        raise refused(
            place,
            f"wrong transfer syntax: {syntax.name} is declared and the frame is {found}",
            _AGAIN,
        )
    _check_size(frame, family, dataset, place)
    if family != "RLE" and not frame.rstrip(b"\0\xff").endswith(b"\xff\xd9"):
        raise refused(place, "truncated pixel data: the compressed frame has no end", _AGAIN)
    return bytes(frame)


def _family(frame: bytes) -> str:
    if frame.startswith((b"\xff\x4f\xff\x51", _JP2)):
        return "JPEG 2000"
    if frame.startswith(b"\xff\xd8"):
        marker = _start_of_frame(frame)[0]
        if marker == 0xF7:
            return "JPEG-LS"
        return "lossless JPEG" if marker in (0xC3, 0xC7, 0xCB, 0xCF) else "JPEG"
    segments = int.from_bytes(frame[:4], "little")
    if 1 <= segments <= 15 and frame[4:8] == b"\x40\0\0\0":
        return "RLE"
    return "of no known compression"


def _start_of_frame(frame: bytes) -> tuple[int, int]:
    """Return the frame marker and where its segment begins, walking over the segments before."""
    at = 2
    while at + 4 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if _FRAME_START.match(frame, at):
            return marker, at + 2
        if marker == 0xFF:
            at += 1
        else:
            at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return 0, 0


def _check_size(frame: bytes, family: str, dataset: Any, place: str) -> None:
    """Refuse a codestream that claims another size than the header: a decoder believes it."""
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if family == "RLE":
        samples = int(dataset.SamplesPerPixel) * int(dataset.BitsAllocated) // 8
        if len(frame) > 2 * rows * columns * samples + 1024:
            raise refused(place, "an RLE frame longer than its picture", _AGAIN)
        return
    if family == "JPEG 2000":
        at = frame.find(b"\xff\x4f\xff\x51")
        sizes = [int.from_bytes(frame[at + n : at + n + 4], "big") for n in (8, 12, 16, 20)]
        width, height = sizes[0] - sizes[2], sizes[1] - sizes[3]
    else:
        marker, at = _start_of_frame(frame)
        height, width = (int.from_bytes(frame[at + n : at + n + 2], "big") for n in (3, 5))
        if not marker:
            raise refused(place, "truncated pixel data: the frame has no header", _AGAIN)
    if (width, height) != (columns, rows):
        raise refused(
            place,
            f"the compressed frame claims {width}x{height} pixels and the header {columns}x{rows}",
            _AGAIN,
        )
