"""DICOM images: one frame as radiologists look at it, and the few facts that are safe to tell.

The order of DICOM PS3.3, section C.11 and PS3.4, annex N: modality LUT (rescale), VOI LUT (window),
presentation (MONOCHROME1 is inverted). Multi-frame functional groups: PS3.3, C.7.6.16.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from mmedagent.cases.imaging import grey
from mmedagent.cases.imaging.decoded import Decoded, refuse_size, refused
from mmedagent.cases.imaging.dicom_frames import frame_bytes
from mmedagent.cases.imaging.dicom_read import frame_count, read
from mmedagent.cases.privacy.dicom import quiet
from mmedagent.cases.sources.contract import View
from mmedagent.errors import BadDataError

if TYPE_CHECKING:
    from mmedagent.recipes.sets import LimitsRecipe

_FACTS = {
    "modality": "Modality",
    "body_part": "BodyPartExamined",
    "photometric": "PhotometricInterpretation",
}
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420")


def decode(data: bytes, view: View, limits: "LimitsRecipe", place: str) -> Decoded:
    """Return frame `view.frame` of the file, which may be left out where there is one only.

    Grey values are rescaled and windowed by `view.window` (in the rescaled units), else by the
    file's first window or VOI LUT, else from the frame's smallest to its largest value.
    """
    with quiet():
        dataset, removed = read(data, limits, place)
        index = _index(dataset, view, place)
        try:
            image = _picture(dataset, index, view, limits, place)
        except BadDataError:
            raise
        except Exception as error:
            # Decoders raise what they like; their texts may repeat values of the header.
            raise refused(
                place,
                f"its pixel data cannot be decoded ({type(error).__name__})",
                "export the file again from the archive",
            ) from None
        return Decoded(image, _facts(dataset), removed)


def frames(data: bytes, limits: "LimitsRecipe", place: str) -> int:
    """Return how many frames the file has."""
    with quiet():
        return frame_count(read(data, limits, place)[0], place)


def facts(data: bytes, limits: "LimitsRecipe", place: str) -> dict[str, str]:
    """Return `Decoded.facts` without decoding a pixel."""
    with quiet():
        return _facts(read(data, limits, place)[0])


def _facts(dataset: Any) -> dict[str, str]:
    """Return the short coded words of the header that say nothing of a person."""
    found = {name: str(dataset.get(keyword) or "").strip() for name, keyword in _FACTS.items()}
    # Code strings (VR CS, PS3.5 section 6.2); free text that someone typed there is left out.
    safe = {
        name: word
        for name, word in found.items()
        if 0 < len(word) <= 16 and word.replace("_", "").replace(" ", "").isalnum()
    }
    return {"kind": "dicom", **safe}


def _index(dataset: Any, view: View, place: str) -> int:
    count = frame_count(dataset, place)
    if view.axis is not None:
        raise refused(place, f"a DICOM file has no {view.axis} slices", "name a `frame` instead")
    if view.frame is None and count > 1:
        raise refused(
            place, f"{count} frames and none is named", "name one with `frame` in the mapping"
        )
    index = view.frame or 0
    if not 0 <= index < count:
        raise refused(place, f"no frame {index}: there are {count}", "frames count from 0")
    return index


def _picture(
    dataset: Any, index: int, view: View, limits: "LimitsRecipe", place: str
) -> Image.Image:
    kind = str(dataset.PhotometricInterpretation)
    pixels = _pixels(dataset, index, place)
    if kind in _GREY:
        shades = _shades(dataset, pixels, index, view, place)
        image = grey.picture(255 - shades if kind == "MONOCHROME1" else shades)
    elif view.window is not None:
        raise refused(place, "a window is given and the image is in colour", "take `window` out")
    elif kind == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut

        image = _colour(apply_color_lut(pixels, dataset))
    elif kind in _COLOUR:
        bits = int(dataset.BitsStored) if pixels.dtype.itemsize > 1 else 8
        image = _colour(pixels, bits)
    else:
        raise refused(
            place, "a photometric interpretation that is not read", "export it as RGB or grey"
        )
    return _square(image, dataset, index, limits, place)


def _pixels(dataset: Any, index: int, place: str) -> Any:
    """Return a frame's stored values [row, column] or RGB [row, column, 3]."""
    from pydicom.pixels import pixel_array

    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return pixel_array(dataset, index=index)
    frame_bytes(dataset, syntax, index, frame_count(dataset, place), place)
    # One decoder named: which others are installed must not decide a data version's bytes.
    plugin = "pydicom" if str(syntax) == "1.2.840.10008.1.2.5" else "pylibjpeg"
    return pixel_array(dataset, index=index, decoding_plugin=plugin)


def _shades(dataset: Any, pixels: Any, index: int, view: View, place: str) -> grey.Pixels:
    """Return grey 0..255 after modality LUT and window."""
    from pydicom.pixels import apply_modality_lut, apply_voi

    rescale = _group(dataset, index, "PixelValueTransformationSequence")
    values = np.asarray(apply_modality_lut(pixels, rescale), np.float32)
    if view.window is not None:
        return grey.window(values, *view.window)
    voi = _group(dataset, index, "FrameVOILUTSequence")
    if voi.get("VOILUTSequence"):
        # pydicom looks up whole numbers.
        looked_up = apply_voi(values.astype(np.int32), voi)
        bits = int(voi.VOILUTSequence[0].LUTDescriptor[2])
        return grey.stretch(np.asarray(looked_up, np.float32), 0, 2**bits - 1)
    centre, width = _first(voi.get("WindowCenter")), _first(voi.get("WindowWidth"))
    if centre is None or width is None:
        return grey.stretch(values, *_range(values, pixels, dataset))
    try:
        return grey.window(values, centre, width, str(voi.get("VOILUTFunction") or "LINEAR"))
    except ValueError:
        raise refused(
            place, "the file's own window is not valid (PS3.3 C.11.2)", "give one with `window`"
        ) from None


def _range(values: grey.Pixels, stored: Any, dataset: Any) -> tuple[float, float]:
    """Return the smallest and largest value that is no padding (0028,0120)."""
    padding = dataset.get("PixelPaddingValue")
    real = values if padding is None else values[stored != int(padding)]
    real = values if not real.size else real
    return float(real.min()), float(real.max())


def _group(dataset: Any, index: int, name: str) -> Any:
    """Return the functional group `name` of a frame, or the dataset where it has none."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for groups in (per_frame[index : index + 1], shared[:1]):
        if groups and groups[0].get(name):
            return groups[0][name].value[0]
    return dataset


def _first(value: Any) -> float | None:
    """Return the first of one or several numbers; several windows are alternatives (C.11.2)."""
    if value is None or value == "":
        return None
    from pydicom.multival import MultiValue

    return float(value[0] if isinstance(value, MultiValue) else value)


def _colour(pixels: Any, bits: int | None = None) -> Image.Image:
    """Return RGB of `bits` a channel, by default all of the array's, as 8 bits a channel."""
    most = 2 ** (bits or 8 * pixels.dtype.itemsize) - 1
    return grey.picture(grey.stretch(np.asarray(pixels[..., :3], np.float32), 0, most))


def _square(
    image: Image.Image, dataset: Any, index: int, limits: "LimitsRecipe", place: str
) -> Image.Image:
    """Return the image with square pixels, by PixelSpacing or PixelAspectRatio (C.7.6.3.1.7)."""
    measures = _group(dataset, index, "PixelMeasuresSequence")
    sizes = measures.get("PixelSpacing") or dataset.get("PixelAspectRatio")
    if not sizes or len(sizes) != 2 or sizes[0] == sizes[1]:
        return image
    down, across = float(sizes[0]), float(sizes[1])
    if not (0 < down < 1e6 and 0 < across < 1e6):
        raise refused(place, "pixels without a size in the header", "export the file again")
    step = min(down, across)
    width, height = int(image.width * across / step), int(image.height * down / step)
    refuse_size(width, height, limits.max_pixels, place)
    return grey.square(image, down, across)
