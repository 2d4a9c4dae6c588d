"""DICOM: real files of many transfer syntaxes, and the grey scale by the standard's formulas."""

import logging

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from mmedagent.cases.imaging.decode import decode, facts, frames
from mmedagent.cases.sources.contract import View
from mmedagent.errors import BadDataError
from tests.mmedagent.cases.imaging.files import (
    LIMITS,
    NAME,
    NUMBER,
    PLACE,
    REAL,
    dicom,
    pixels,
    real,
)

LOSSLESS = [
    "MR_small_RLE.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "MR_small_expb.dcm",
    "MR_small_padded.dcm",
]
BARS = [
    "SC_rgb_rle.dcm",
    "SC_rgb_rle_16bit.dcm",
    "SC_rgb_rle_32bit.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_jpeg_lossy_gdcm.dcm",
    "SC_rgb_gdcm_KY.dcm",
    "SC_rgb_jls_lossy_line.dcm",
    "SC_rgb_dcmtk_+eb+cr.dcm",
    "SC_rgb_dcmtk_+eb+cy+np.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
]


@pytest.mark.parametrize("name", LOSSLESS)
def test_every_lossless_syntax_gives_the_same_picture(name: str) -> None:
    plain = pixels(real("MR_small.dcm"))
    assert plain.shape == (64, 64) and len(np.unique(plain)) > 100
    assert np.array_equal(pixels(real(name)), plain)


@pytest.mark.parametrize("name", BARS)
def test_colours_come_out_as_colours_whatever_the_encoding(name: str) -> None:
    picture = pixels(real(name)).astype(int)
    # pydicom's documentation of its test files: bars of red, green, blue and grey, ten rows each.
    for row, colour in ((5, (255, 0, 0)), (25, (0, 255, 0)), (45, (0, 0, 255)), (65, (0, 0, 0))):
        assert np.abs(picture[row, 50] - colour).max() <= 6, (name, row, picture[row, 50])


def test_a_given_window_is_the_linear_function_of_the_standard() -> None:
    dataset = pydicom.dcmread(REAL / "CT_small.dcm")
    hounsfield = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    centre, width = 40.0, 400.0
    grey = ((hounsfield - (centre - 0.5)) / (width - 1) + 0.5) * 255
    picture = pixels(real("CT_small.dcm"), window=(centre, width))
    assert np.abs(picture - np.clip(grey, 0, 255)).max() <= 0.51


def test_the_files_own_window_is_taken_and_without_one_the_whole_range() -> None:
    dataset = pydicom.dcmread(REAL / "MR_small.dcm")
    own = (float(dataset.WindowCenter), float(dataset.WindowWidth))
    assert np.array_equal(pixels(real("MR_small.dcm")), pixels(real("MR_small.dcm"), window=own))
    whole = pixels(dicom(np.array([[100, 200], [300, 500]], np.uint16)))
    assert whole.tolist() == [[0, 64], [128, 255]]


@pytest.mark.parametrize(
    ("function", "middle", "high"), [("LINEAR_EXACT", 128, 255), ("SIGMOID", 128, 250)]
)
def test_the_other_window_functions(function: str, middle: int, high: int) -> None:
    values = np.array([[100, 200]], np.uint16)
    elements = {"WindowCenter": 100, "WindowWidth": 100, "VOILUTFunction": function}
    assert pixels(dicom(values, **elements)).tolist() == [[middle, high]]


def test_monochrome1_is_the_negative_of_monochrome2() -> None:
    values = np.arange(16, dtype=np.uint16).reshape(4, 4)
    light = pixels(dicom(values))
    dark = pixels(dicom(values, PhotometricInterpretation="MONOCHROME1"))
    assert np.array_equal(dark, 255 - light) and light[0, 0] == 0


def test_padding_values_do_not_stretch_the_range() -> None:
    values = np.array([[-2000, 0], [50, 100]], np.int16)
    assert pixels(dicom(values, PixelPaddingValue=-2000)).tolist() == [[0, 0], [128, 255]]


def test_a_voi_lookup_table_is_looked_up() -> None:
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [4, 0, 8])
    table.add_new("LUTData", "US", [0, 200, 100, 255])
    values = np.array([[0, 1], [2, 3]], np.uint16)
    assert pixels(dicom(values, VOILUTSequence=[table])).tolist() == [[0, 200], [100, 255]]


def test_palette_colours_are_looked_up() -> None:
    decoded = decode(real("examples_palette.dcm"), View(), LIMITS, PLACE)
    assert decoded.image.mode == "RGB"
    assert len(np.unique(np.asarray(decoded.image).reshape(-1, 3), axis=0)) > 50


def test_frames_have_windows_of_their_own() -> None:
    def group(centre: int) -> Dataset:
        window, holder = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = centre, 11
        holder.FrameVOILUTSequence = [window]
        return holder

    values = np.full((2, 1, 1), 100, np.uint16)
    data = dicom(values, PerFrameFunctionalGroupsSequence=[group(100), group(1000)])
    assert pixels(data, frame=0)[0, 0] == 140
    assert pixels(data, frame=1)[0, 0] == 0


def test_a_frame_is_named_never_guessed() -> None:
    data = real("examples_ybr_color.dcm")
    assert frames(data, LIMITS, PLACE) == 30
    with pytest.raises(BadDataError, match="^cases.csv row 7, column image: 30 frames and none"):
        pixels(data)
    with pytest.raises(BadDataError, match="no frame 30: there are 30; frames count from 0"):
        pixels(data, frame=30)
    first, last = pixels(data, frame=0), pixels(data, frame=29)
    assert first.shape == last.shape == (240, 320, 3) and not np.array_equal(first, last)
    uncompressed, packed = real("rtdose.dcm"), real("rtdose_rle.dcm")
    assert np.array_equal(pixels(uncompressed, frame=7), pixels(packed, frame=7))


def test_pixels_become_square() -> None:
    values = np.zeros((4, 4), np.uint16)
    assert pixels(dicom(values, PixelSpacing=[2.0, 1.0])).shape == (8, 4)
    assert pixels(dicom(values, PixelAspectRatio=[1, 3])).shape == (4, 12)
    with pytest.raises(BadDataError, match="claims 4x4000000 pixels|more than 100000000"):
        pixels(dicom(np.zeros((40, 40), np.uint16), PixelSpacing=[999999.0, 1.0]))


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")  # while the file is written
def test_only_safe_facts_come_out() -> None:
    data = dicom(BodyPartExamined="CHEST", StudyDescription=NAME, InstitutionName="St Planted")
    decoded = decode(data, View(), LIMITS, PLACE)
    expected = {"modality": "CT", "photometric": "MONOCHROME2", "body_part": "CHEST"}
    assert decoded.facts == {"kind": "dicom", **expected}
    assert facts(data, LIMITS, PLACE) == decoded.facts
    assert decoded.dicom_removed["group 0010"] == 2
    typed = dicom(BodyPartExamined="ASK DR. WHO!")
    assert "body_part" not in facts(typed, LIMITS, PLACE)


def test_pydicom_repeats_no_header_value_in_logs_or_warnings(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    typed = dicom(PatientBirthDate="MONDAY", PatientAge=NUMBER)
    caplog.clear()
    recwarn.clear()
    logger = logging.getLogger("pydicom")
    level = logger.level
    with pytest.raises(BadDataError, match="NumberOfFrames"):
        pixels(real("badVR.dcm"))  # pydicom warns: Invalid value for VR IS: '1A'
    pixels(typed)
    assert not caplog.records and not recwarn.list
    assert logger.level == level


@pytest.mark.parametrize("name", ["test-SR.dcm", "reportsi.dcm", "rtplan.dcm", "waveform_ecg.dcm"])
def test_dicom_without_pixels_is_refused_by_its_class(name: str) -> None:
    with pytest.raises(BadDataError, match=r"DICOM without pixels \(.* Storage\); leave it out"):
        pixels(real(name))
