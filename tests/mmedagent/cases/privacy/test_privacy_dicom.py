from pathlib import Path
from typing import Any

import pytest

from mmedagent.cases.privacy.dicom import deidentify, says_burned_in
from mmedagent.cases.privacy.pseudonym import Pseudonyms
from tests.mmedagent.cases.privacy.dicoms import IN_PREAMBLE, PLANTED, SECRETS, planted, written

NAMES = Pseudonyms(bytes(range(32)))


def test_no_planted_attribute_survives_in_the_file(tmp_path: Path) -> None:
    before = written(planted(), tmp_path / "before.dcm")
    assert all(secret.encode() in before for secret in SECRETS)
    dataset = planted()
    counts = deidentify(dataset, NAMES)
    after = written(dataset, tmp_path / "after.dcm")
    assert [secret for secret in SECRETS if secret.encode() in after] == []
    assert IN_PREAMBLE not in after
    groups = {"group 0008", "group 0010", "group 0020", "group 0040", "private", "unknown"}
    assert groups <= set(counts) and "file meta" in counts
    assert not any(secret in str(counts) for secret in SECRETS)
    assert sum(counts.values()) >= len(PLANTED)


def test_what_the_picture_needs_stays() -> None:
    original, dataset = planted(), planted()
    deidentify(dataset)
    assert (dataset.pixel_array == original.pixel_array).all()
    for keyword in ("Modality", "Rows", "PixelSpacing", "RescaleSlope", "BodyPartExamined"):
        assert dataset.get(keyword) == original.get(keyword)
    assert dataset.SOPClassUID == original.SOPClassUID
    assert dataset.file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID


def test_the_header_says_what_was_done() -> None:
    dataset = planted()
    deidentify(dataset)
    assert dataset.PatientIdentityRemoved == "YES"
    assert dataset.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert dataset.LongitudinalTemporalInformationModified == "REMOVED"


def test_uids_and_subjects_stay_consistent_over_files() -> None:
    first, second = planted(), planted("MR_small.dcm")
    second.SOPInstanceUID = "1.2.826.0.1.3680043.9.4417.99"
    for dataset in (first, second):
        deidentify(dataset, NAMES)
    assert first.StudyInstanceUID == second.StudyInstanceUID != PLANTED["StudyInstanceUID"]
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.file_meta.MediaStorageSOPInstanceUID == first.SOPInstanceUID
    assert first.PatientID == second.PatientID == NAMES.of("subject", PLANTED["PatientID"])
    assert first.FrameOfReferenceUID == NAMES.uid(PLANTED["FrameOfReferenceUID"])


def test_without_a_key_uids_are_random_and_nothing_is_remembered() -> None:
    from dicomanonymizer import simpledicomanonymizer

    first, second = planted(), planted()
    deidentify(first)
    deidentify(second)
    assert first.StudyInstanceUID != second.StudyInstanceUID
    assert simpledicomanonymizer.dictionary == {}


def test_pydicoms_warnings_show_no_values(capfd: Any, recwarn: Any, caplog: Any) -> None:
    dataset = planted()
    dataset.add_new(0x00101010, "AS", "of age")
    dataset["PatientAge"]._value = "born GWENDOLYN"
    recwarn.clear()
    caplog.clear()
    deidentify(dataset, NAMES)
    shown = "".join(capfd.readouterr()) + caplog.text + "".join(str(w.message) for w in recwarn)
    assert "GWENDOLYN" not in shown


def test_structured_reports_lose_their_content(tmp_path: Path) -> None:
    import pydicom
    from pydicom.data import get_testdata_file

    for name in ("test-SR.dcm", "reportsi.dcm"):
        dataset = pydicom.dcmread(str(get_testdata_file(name)))
        texts = [e.value for e in dataset.iterall() if e.VR in ("PN", "UT", "DA") and e.value]
        assert deidentify(dataset, NAMES)
        left = [str(e.value) for e in dataset.iterall() if e.VR in ("PN", "UT", "DA")]
        assert not {str(text) for text in texts} & set(left)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_test_file_of_pydicom_can_be_deidentified() -> None:
    import pydicom

    folder = Path(pydicom.__file__).parent / "data"
    done = 0
    for path in sorted([*folder.glob("test_files/*.dcm"), *folder.glob("charset_files/*.dcm")]):
        try:
            dataset = pydicom.dcmread(path)
        except pydicom.errors.InvalidDicomError:
            continue
        people = {str(e.value) for e in dataset.iterall() if e.VR == "PN" and e.value}
        deidentify(dataset, NAMES)
        left = {str(e.value) for e in dataset.iterall() if e.VR == "PN" and e.value}
        assert left <= {"ANONYMIZED"} and not left & people
        assert not any(element.tag.is_private for element in dataset.iterall())
        done += 1
    assert done > 60


def test_the_burned_in_flag_is_read() -> None:
    dataset = planted()
    assert not says_burned_in(dataset)
    dataset.BurnedInAnnotation = "YES"
    assert says_burned_in(dataset)
