"""Which kind of file some bytes are, by their first bytes, and whether they are two at once.

A polyglot is a file that one program reads as a picture and another as an archive, a page or a
program. Magic numbers: PNG 1.2, ITU T.81 (JPEG), TIFF 6.0, GIF89a, DICOM PS3.10 section 7.1,
NIfTI-1.1 and NIfTI-2 headers, APPNOTE.TXT section 4.3.16 (zip), ISO 32000 annex on headers (PDF).
"""

import re

from mmedagent.cases.imaging.decoded import refused

KINDS = ("png", "jpeg", "gif", "bmp", "tiff", "dicom", "nifti", "nifti.gz")
_NAMES = {"nifti": "NIfTI", "nifti.gz": "gzip"}
_READABLE = "use PNG, JPEG, TIFF, BMP, GIF, DICOM or NIfTI"
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
_OTHER = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a zip archive"),
    (b"RIFF", "a RIFF file (WebP, AVI or WAV)"),
    (b"\x00\x00\x00\x0cjP  ", "a bare JPEG 2000 file"),
    (b"\xff\x4f\xff\x51", "a bare JPEG 2000 codestream"),
    (b"NRRD", "an NRRD volume"),
    (b"ObjectType", "a MetaImage volume"),
    (b"\x89HDF", "an HDF5 file"),
    (b"BZh", "bzip2 data"),
    (b"\xfd7zXZ", "xz data"),
    (b"(\xb5/\xfd", "zstd data"),
    (b"MZ", "a program"),
    (b"\x7fELF", "a program"),
    (b"#!", "a script"),
)
# With text behind it: five bytes alone occur in a million images by chance.
_PAGE = re.compile(rb"<(?:html|script|svg|\?php|!doctype)[\s>][\t\r\n -~]{6}", re.I)
_TEXT = re.compile(rb"\s*(?:<|\{|\[)")
_EDGE = 65_536
"""Bytes looked at from either end: a zip archive's directory ends within its last 65 557."""


def kind_of(data: bytes, place: str) -> str:
    """Return the one kind of `KINDS` that `data` is.

    Raises `BadDataError` when it is none, or when it also is something else.
    """
    found = [kind for kind in KINDS if _is(kind, data)]
    if not found:
        raise refused(place, f"not an image of a known kind but {_name(data)}", _READABLE)
    if found == ["tiff", "dicom"]:
        # PS3.10 section 7.1 lets the preamble be a TIFF's header; `dicom_read` compares the two.
        found = ["dicom"]
    if len(found) > 1:
        names = " and ".join(_NAMES.get(kind, kind.upper()) for kind in found)
        raise refused(
            place, f"polyglot file, {names} at once", "export the image again from its source"
        )
    if hidden := _hidden(found[0], data):
        raise refused(
            place,
            f"polyglot file, {_NAMES.get(found[0], found[0].upper())} that also holds {hidden}",
            "export the image again from its source, and find out where this file came from",
        )
    return found[0]


def _is(kind: str, data: bytes) -> bool:
    if kind == "png":
        return data.startswith(b"\x89PNG\r\n\x1a\n")
    if kind == "jpeg":
        return data.startswith(b"\xff\xd8\xff")
    if kind == "gif":
        return data.startswith((b"GIF87a", b"GIF89a"))
    if kind == "bmp":
        header = int.from_bytes(data[14:18], "little")
        return data.startswith(b"BM") and header in _BMP_HEADERS
    if kind == "tiff":
        return data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))
    if kind == "dicom":
        return data[128:132] == b"DICM"
    if kind == "nifti":
        first = data[344:348] in (b"n+1\0", b"ni1\0")
        return first or data[4:12] in (b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n")
    return data.startswith(b"\x1f\x8b")


def _hidden(kind: str, data: bytes) -> str | None:
    """Name what else the bytes are, or None."""
    if _ends_as_zip(data):
        return "a zip archive"
    if kind == "dicom":
        # Who trusts a preamble runs what an attacker put there (CVE-2019-11687).
        preamble = data[:128]
        if _TEXT.match(preamble) or any(preamble.startswith(start) for start, _ in _OTHER):
            return "another file in its preamble"
    elif b"%PDF-" in data[:1024]:
        return "a PDF"
    if _PAGE.search(data[:_EDGE]) or _PAGE.search(data[-_EDGE:]):
        return "a web page or script"
    return None


def _ends_as_zip(data: bytes) -> bool:
    """Say whether a zip archive's end record is there and points at a directory that is, too."""
    tail = max(0, len(data) - _EDGE - 22)
    at = data.rfind(b"PK\x05\x06", tail)
    if at < 0 or at + 22 > len(data):
        return False
    size = int.from_bytes(data[at + 12 : at + 16], "little")
    return size == 0 or data[max(0, at - size) :].startswith(b"PK\x01\x02")


def _name(data: bytes) -> str:
    """Name what else the first bytes look like, for the message; never by the file's name."""
    for start, name in _OTHER:
        if data.startswith(start):
            return name
    if len(data) == 348 or int.from_bytes(data[:4], "little") == 348:
        return "an Analyze header without its pixels"
    if data[:2] in (b"\x08\x00", b"\x02\x00") and data[3:4] == b"\0":
        return "DICOM without its 128-byte preamble (PS3.10)"
    if _TEXT.match(data[:256]):
        return "text"
    return "unknown data"
