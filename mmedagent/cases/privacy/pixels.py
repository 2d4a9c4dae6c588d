"""Text burned into the pixels of a DICOM file: PS3.15, Clean Pixel Data Option."""

from typing import TYPE_CHECKING, Any

from mmedagent.cases.privacy.burned_in import BurnedInText, paint
from mmedagent.cases.privacy.refusal import RefusedForPrivacy
from mmedagent.errors import BadDataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset


def clean_pixels(dataset: "Dataset", finder: BurnedInText, refuse: bool, place: str) -> int:
    """Paint over text in every frame of `dataset`, in place, and return how many regions it had.

    Frames with text are stored uncompressed from then on, and the header says that the pixels were
    cleaned. Raises `RefusedForPrivacy` with `refuse` when there is text, and `BadDataError` when
    the pixels cannot be decoded: what cannot be looked at is not passed on.
    """
    import numpy as np

    try:
        array = np.array(dataset.pixel_array)
    except Exception as error:  # whatever a decoder raises, with whatever text in it
        raise BadDataError(
            f"{place}: its pixels cannot be decoded ({type(error).__name__}), so they cannot be "
            "searched for text; convert it, or look at it yourself and use --pixels keep"
        ) from None
    colour = int(dataset.get("SamplesPerPixel", 1)) > 1
    frames = array.reshape(-1, *array.shape[-3:] if colour else array.shape[-2:])
    count = 0
    for frame in frames:
        regions = finder.find(_eight_bits(frame))
        count += len(regions)
        if regions:
            paint(frame, regions)
    if count and refuse:
        raise RefusedForPrivacy(f"{place}: {count} text regions are burned into its pixels")
    if count:
        photometric = "RGB" if colour else str(dataset.PhotometricInterpretation)
        dataset.set_pixel_data(
            array, photometric, int(dataset.BitsStored), generate_instance_uid=False
        )
        _declare(dataset)
    return count


def _eight_bits(frame: "NDArray[Any]") -> "NDArray[np.uint8]":
    """Return a frame stretched to 0 to 255: burned-in text is at an end of what is stored."""
    import numpy as np

    if frame.dtype == np.uint8:
        return frame
    low, high = float(frame.min()), float(frame.max())
    return np.round((frame - low) * (255 / max(high - low, 1))).astype(np.uint8)


def _declare(dataset: "Dataset") -> None:
    from pydicom.dataset import Dataset

    code = Dataset()
    code.CodeValue = "113101"
    code.CodingSchemeDesignator = "DCM"
    code.CodeMeaning = "Clean Pixel Data Option"
    dataset.BurnedInAnnotation = "NO"
    dataset.DeidentificationMethodCodeSequence = [
        *dataset.get("DeidentificationMethodCodeSequence", []),
        code,
    ]
