"""Opens one image file of any known kind, as its first bytes say it, never as its name does."""

from typing import TYPE_CHECKING

from mmedagent.cases.imaging.decoded import Decoded, refuse_bytes, refused
from mmedagent.cases.imaging.kinds import kind_of
from mmedagent.cases.sources.contract import View

if TYPE_CHECKING:
    from mmedagent.recipes.sets import LimitsRecipe

__all__ = ["Decoded", "decode", "facts", "frames"]


def decode(data: bytes, view: View, limits: "LimitsRecipe", place: str) -> Decoded:
    """Return the picture that `view` means of an encoded PNG, JPEG, TIFF, DICOM or NIfTI file.

    Raises `BadDataError` that begins with `place` and says what mends it: the file is none of
    these or several, not whole, larger than `limits` by what its header claims, in an encoding
    that nothing here reads, or has several frames and `view` names none.
    """
    kind = _kind(data, limits, place)
    if kind == "dicom":
        from mmedagent.cases.imaging import dicom

        return dicom.decode(data, view, limits, place)
    if kind.startswith("nifti"):
        from mmedagent.cases.imaging import nifti

        return nifti.decode(data, view, limits, place)
    from mmedagent.cases.imaging import plain

    return plain.decode(data, kind, view, limits, place)


def frames(data: bytes, limits: "LimitsRecipe", place: str) -> int:
    """Return how many pictures a file holds: pages, frames, or a volume's axial slices.

    Raises `BadDataError` as `decode` does.
    """
    kind = _kind(data, limits, place)
    if kind == "dicom":
        from mmedagent.cases.imaging import dicom

        return dicom.frames(data, limits, place)
    if kind.startswith("nifti"):
        from mmedagent.cases.imaging import nifti

        return nifti.frames(data, limits, place)
    from mmedagent.cases.imaging import plain

    return plain.frames(data, kind, place)


def facts(data: bytes, limits: "LimitsRecipe", place: str) -> dict[str, str]:
    """Return the `Decoded.facts` of a DICOM file without decoding it.

    Raises `BadDataError` as `decode` does, and when the file is no DICOM.
    """
    if _kind(data, limits, place) != "dicom":
        raise refused(place, "no DICOM file, so no header says its modality", "map a column")
    from mmedagent.cases.imaging import dicom

    return dicom.facts(data, limits, place)


def _kind(data: bytes, limits: "LimitsRecipe", place: str) -> str:
    refuse_bytes(data, limits.max_image_bytes, place)
    return kind_of(data, place)
