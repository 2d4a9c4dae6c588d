"""Image files to decode: real DICOM and NIfTI files that packages ship, and small ones to break."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from mmedagent.cases.imaging.decode import decode
from mmedagent.cases.sources.contract import View
from mmedagent.recipes.sets import LimitsRecipe

REAL = Path(pydicom.__file__).parent / "data" / "test_files"
LIMITS = LimitsRecipe()
PLACE = "cases.csv row 7, column image"
NAME, NUMBER = "ZEBULON^QUARKSTONE", "MRN-88431977"
"""Of a planted patient: neither may be in any message."""


def real(name: str) -> bytes:
    """A real DICOM file from pydicom's wheel."""
    return (REAL / name).read_bytes()


def pixels(data: bytes, limits: LimitsRecipe = LIMITS, **view: Any) -> np.ndarray:
    """The decoded picture as an array [row, column] or [row, column, 3]."""
    return np.asarray(decode(data, View(**view), limits, PLACE).image)


def plain(mode: str = "RGB", format: str = "PNG", size: tuple[int, int] = (24, 20)) -> bytes:
    """A small encoded image with all shades in it."""
    ramp = np.linspace(0, 255, size[0] * size[1] * 3).astype(np.uint8)
    image = Image.fromarray(ramp.reshape(size[1], size[0], 3)).convert(mode)
    return encoded(image, format)


def encoded(image: Image.Image, format: str = "PNG", **how: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **how)
    return buffer.getvalue()


def dicom(values: np.ndarray | None = None, **elements: Any) -> bytes:
    """A secondary capture of `values` [row, column] or [frame, row, column], 16 bits."""
    values = np.arange(64, dtype=np.uint16).reshape(8, 8) if values is None else values
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = elements.pop("syntax", ExplicitVRLittleEndian)
    dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
    dataset.PatientName, dataset.PatientID, dataset.Modality = NAME, NUMBER, "CT"
    dataset.Rows, dataset.Columns = values.shape[-2:]
    if values.ndim == 3:
        dataset.NumberOfFrames = values.shape[0]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * values.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    dataset.PixelData = values.tobytes()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return saved(dataset)


def saved(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def declared(data: bytes, syntax: str) -> bytes:
    """The file with another declared transfer syntax, and nothing else changed."""
    file = io.BytesIO(data)
    file.seek(132)
    meta = pydicom.filereader.read_dataset(
        file, False, True, stop_when=lambda tag, *_: tag.group > 2
    )
    body = data[file.tell() :]
    meta = FileMetaDataset(meta)
    meta.TransferSyntaxUID = UID(syntax)
    out = io.BytesIO()
    out.write(b"\0" * 128 + b"DICM")
    pydicom.filewriter.write_file_meta_info(out, meta, enforce_standard=False)
    return out.getvalue() + body
