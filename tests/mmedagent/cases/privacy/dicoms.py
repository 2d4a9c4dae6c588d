"""DICOM files with planted identifiers, made of pydicom's own test files."""

import copy
from pathlib import Path
from typing import Any

from tests.mmedagent.cases.privacy.planted import load

PLANTED: dict[str, str] = load("corpus")["dicom"]
PRIVATE = "private note on Xiomara"
IN_META = "OLAFSTORE07"
IN_PREAMBLE = b"GWENDOLYN".ljust(128, b" ")


def planted(test_file: str = "CT_small.dcm") -> Any:
    """A dataset of pydicom's test file with every planted attribute, private and odd ones."""
    import pydicom
    from pydicom.data import get_testdata_file
    from pydicom.dataset import Dataset

    dataset = pydicom.dcmread(str(get_testdata_file(test_file)))
    for path, value in PLANTED.items():
        target = dataset
        *sequences, keyword = path.split(".")
        for name in sequences:
            items = target.get(name)
            if not items:
                setattr(target, name, [Dataset()])
            target = target[name].value[0]
        setattr(target, keyword, value)
    dataset.private_block(0x0099, "OLAF PRIVATE", create=True).add_new(1, "LO", PRIVATE)
    nested = dataset.SharedFunctionalGroupsSequence[0]
    nested.private_block(0x0099, "OLAF PRIVATE", create=True).add_new(2, "LO", PRIVATE)
    dataset.add_new(0x00080099, "LO", "unknown tag with Xiomara")
    dataset.add_new(0x60000022, "LO", "overlay by Thaddeus")
    dataset.add_new(0x60003000, "OW", b"\x01\x02\x03\x04")
    dataset.add_new(0x50000040, "LO", "curve of Thaddeus")
    dataset.file_meta.SourceApplicationEntityTitle = IN_META
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.preamble = IN_PREAMBLE
    return dataset


def written(dataset: Any, path: Path) -> bytes:
    """The bytes of `dataset` as a file."""
    copy.deepcopy(dataset).save_as(path, enforce_file_format=True)
    return path.read_bytes()


SECRETS = [
    *(value for value in PLANTED.values()),
    PRIVATE,
    IN_META,
    "Xiomara",
    "Thaddeus",
    "GWENDOLYN",
]
