"""Where an image ends in its file: what comes after is no part of it, what is missing was cut off.

Block structure of PNG (PNG 1.2, chapter 3), JPEG (ITU T.81, annex B), GIF (GIF89a, section 16 ff.)
and BMP (the file header's size).
"""

import re
from typing import Literal

from mmedagent.cases.imaging.decoded import refused

_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))
_PADDING = b"\0\xff\r\n\t "


class Cut(Exception):
    """The bytes end before the image does."""


def check_end(kind: str, data: bytes, place: str) -> None:
    """Raise `BadDataError` when a PNG, JPEG, GIF or BMP is cut off, animated or followed by more.

    Zeros, `FF` bytes and white space may follow: devices and transfers pad files with them. So may
    the pictures that a JPEG announces.
    """
    try:
        end, pictures = _ENDS[kind](data)
    except (Cut, IndexError):
        raise refused(place, f"the {kind.upper()} is cut off", "transfer it again") from None
    if pictures > 1:
        raise refused(
            place, f"an animated {kind.upper()}", "save the one picture that the question is about"
        )
    if rest := len(data[end:].strip(_PADDING)):
        raise refused(
            place,
            f"polyglot file, {rest} bytes after the end of the {kind.upper()}",
            "export the image again from its source, and find out where this file came from",
        )


def _png(data: bytes) -> tuple[int, int]:
    at, animated = 8, False
    while at + 12 <= len(data):
        kind = data[at + 4 : at + 8]
        animated = animated or kind == b"acTL"
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        if kind == b"IEND":
            break
    else:
        raise Cut
    if at > len(data):
        raise Cut
    return at, 2 if animated else 1


def _jpeg(data: bytes) -> tuple[int, int]:
    """Return the end of the picture, and of those that it announces as behind it.

    Phones put previews and depth maps there (CIPA DC-007, Multi-Picture Format); each has to be
    a whole JPEG itself, so that nothing else hides among them. The first one is the photograph.
    """
    end, announced = _jpeg_alone(data)
    for start, size in sorted(announced):
        inner = data[start : start + size]
        if start < end or data[end:start].strip(_PADDING) or not inner.startswith(b"\xff\xd8"):
            break
        inner_end, _ = _jpeg_alone(inner)
        if inner[inner_end:].strip(_PADDING):
            break
        end = start + size
    return min(end, len(data)), 1


def _jpeg_alone(data: bytes) -> tuple[int, list[tuple[int, int]]]:
    """Return where one JPEG ends, and start and size of the pictures that it announces."""
    announced: list[tuple[int, int]] = []
    at = 2
    while True:
        found = _MARKER.search(data, at)
        if found is None:
            raise Cut
        marker, at = data[found.end() - 1], found.end()
        if marker == 0xD9:
            return at, announced
        if marker not in _ALONE:
            length = int.from_bytes(data[at : at + 2], "big")
            if length < 2 or at + length > len(data):
                raise Cut
            if marker == 0xE2 and data[at + 2 : at + 6] == b"MPF\0":
                announced = _pictures(data[at + 6 : at + length], at + 6)
            at += length


def _pictures(index: bytes, base: int) -> list[tuple[int, int]]:
    """Return start and size of the other pictures of an MP index, a TIFF directory at `base`."""
    order: Literal["little", "big"] = "little" if index.startswith(b"II") else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(index[at : at + size], order)

    directory = number(4, 4)
    for entry in range(directory + 2, directory + 2 + 12 * min(number(directory, 2), 64), 12):
        if number(entry, 2) == 0xB002:  # MP Entry: 16 bytes for each picture
            length, place = number(entry + 4, 4), number(entry + 8, 4)
            rows = range(place, min(place + length, len(index)), 16)
            found = [(base + number(row + 8, 4), number(row + 4, 4)) for row in rows]
            return [(start, size) for start, size in found if start != base]
    return []


def _gif(data: bytes) -> tuple[int, int]:
    at, pictures = 13 + _colours(data[10]), 0
    while data[at] != 0x3B:
        if data[at] == 0x2C:
            pictures += 1
            at += 10 + _colours(data[at + 9]) + 1
        elif data[at] == 0x21:
            at += 2
        else:
            raise Cut
        while data[at]:
            at += 1 + data[at]
        at += 1
    return at + 1, pictures


def _colours(flags: int) -> int:
    """Return the bytes of the colour table that a GIF descriptor's flags announce."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _bmp(data: bytes) -> tuple[int, int]:
    size = int.from_bytes(data[2:6], "little")
    if size > len(data):
        raise Cut
    return size or len(data), 1


_ENDS = {"png": _png, "jpeg": _jpeg, "gif": _gif, "bmp": _bmp}
