"""What decoding an image file gives."""

from collections import Counter
from dataclasses import dataclass, field

from PIL import Image


@dataclass(frozen=True)
class Decoded:
    """One picture, and what may be said about the file it came from."""

    image: Image.Image
    """Mode `L` or `RGB`, at the file's own size."""
    facts: dict[str, str] = field(default_factory=dict)
    """What is safe to tell: `kind` (`png`, `dicom`, ...), and of DICOM `modality` (its code),
    `body_part` and `photometric`, as far as the file has them and the profile keeps them."""
    dicom_removed: Counter[str] = field(default_factory=Counter)
    """Of DICOM: how many elements de-identification removed or changed, by keyword."""
