"""Where an image ends in its file: what comes after is no part of it, what is missing was cut off.

Block structure of PNG (PNG 1.2, chapter 3), JPEG (ITU T.81, annex B), GIF (GIF89a, section 16 ff.)
and BMP (the file header's size).
"""

import re

from mmedagent.cases.imaging.decoded import refused

_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))
_PADDING = b"\0\xff\r\n\t "


class Cut(Exception):
    """The bytes end before the image does."""


def check_end(kind: str, data: bytes, place: str) -> None:
    """Raise `BadDataError` when a PNG, JPEG, GIF or BMP is cut off, animated or followed by more.

    Zeros, `FF` bytes and white space may follow: devices and transfers pad files with them.
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
    at = 2
    while True:
        found = _MARKER.search(data, at)
        if found is None:
            raise Cut
        marker, at = data[found.end() - 1], found.end()
        if marker == 0xD9:
            return at, 1
        if marker not in _ALONE:
            length = int.from_bytes(data[at : at + 2], "big")
            if length < 2 or at + length > len(data):
                raise Cut
            at += length


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
