"""Opens one image file of any known kind, as its first bytes say it, never as its name does."""

from typing import TYPE_CHECKING

from mmedagent.cases.imaging.decoded import Decoded
from mmedagent.cases.sources.contract import View
from mmedagent.errors import BadDataError

if TYPE_CHECKING:
    from mmedagent.recipes.sets import LimitsRecipe

__all__ = ["Decoded", "decode", "frames"]


def decode(data: bytes, view: View, limits: "LimitsRecipe", place: str) -> Decoded:
    """Return the picture that `view` means of an encoded PNG, JPEG, TIFF, DICOM or NIfTI file.

    Raises `BadDataError` that begins with `place` and says what mends it: the file is none of
    these or several, not whole, larger than `limits` by what its header claims, in an encoding
    that nothing here reads, or has several frames and `view` names none.
    """
    raise BadDataError(f"{place}: no image kind is known yet")


def frames(data: bytes, limits: "LimitsRecipe", place: str) -> int:
    """Return how many pictures a file holds; of a volume, its slices along its third axis."""
    raise BadDataError(f"{place}: no image kind is known yet")
