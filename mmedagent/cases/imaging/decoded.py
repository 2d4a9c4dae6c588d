"""What decoding an image file gives, and how one that cannot be used is refused."""

from collections import Counter
from dataclasses import dataclass, field

from PIL import Image

from mmedagent.errors import BadDataError


@dataclass(frozen=True)
class Decoded:
    """One picture, and what may be said about the file it came from."""

    image: Image.Image
    """Mode `L` or `RGB`, 8 bits a channel, at the file's own size."""
    facts: dict[str, str] = field(default_factory=dict)
    """What is safe to tell: `kind` (`png`, `dicom`, ...), and of DICOM `modality` (its code),
    `body_part` and `photometric`, as far as the file has them and the profile keeps them."""
    dicom_removed: Counter[str] = field(default_factory=Counter)
    """Of DICOM: how many values de-identification removed or replaced, by kind."""


def refused(place: str, what: str, mend: str) -> BadDataError:
    """Return the error to raise: where, what is wrong, what mends it; never what the file holds."""
    return BadDataError(f"{place}: {what}; {mend}")


def refuse_size(width: int, height: int, most: int, place: str) -> None:
    """Raise `BadDataError` when a header claims more than `most` pixels, or none."""
    if width < 1 or height < 1:
        raise refused(place, f"the header claims {width}x{height} pixels", "export the image again")
    if width * height > most:
        raise refused(
            place,
            f"the header claims {width}x{height} pixels, more than {most}: not decoded",
            "scale the image down, or raise `limits.max_pixels` of the data set if it is real",
        )


def refuse_bytes(data: bytes, most: int, place: str) -> None:
    """Raise `BadDataError` when the file is empty or has more than `most` bytes."""
    if not data:
        raise refused(place, "the file is empty", "transfer it again")
    if len(data) > most:
        raise refused(
            place,
            f"{len(data)} bytes, more than {most}",
            "export a smaller image, or raise `limits.max_image_bytes` of the data set",
        )
