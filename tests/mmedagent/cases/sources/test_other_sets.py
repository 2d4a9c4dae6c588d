"""What PathVQA, OmniMedVQA and MMMU say is what the cases have."""

from pathlib import Path

import pytest

from mmedagent.cases.modalities import specialty_of
from mmedagent.cases.sources.omni_med_vqa import split_of_image
from mmedagent.cases.sources.registry import source
from mmedagent.errors import BadDataError
from tests.mmedagent.cases.sources.conformance import read
from tests.mmedagent.cases.sources.releases import (
    mmmu,
    mmmu_row,
    omni_med_vqa,
    path_vqa,
    write_files,
    write_parquet,
)


def test_path_vqa_keeps_its_three_splits(tmp_path: Path) -> None:
    cases, skipped = read(source("path-vqa"), path_vqa(tmp_path / "release"))
    assert list(dict.fromkeys(case.split for case in cases)) == ["train", "validation", "test"]
    assert {specialty_of(case.modality) for case in cases} == {"Pathologist"}
    assert skipped == {"no answer": 3}


def test_a_single_parquet_file_is_a_release(tmp_path: Path) -> None:
    folder = path_vqa(tmp_path / "release")
    path = next(folder.rglob("validation*.parquet"))
    cases, _ = read(source("path-vqa"), path)
    assert {case.split for case in cases} == {"validation"}


def test_a_pickle_is_refused_and_not_opened(tmp_path: Path) -> None:
    evil = b"cos\nsystem\n(S'touch " + str(tmp_path / "opened").encode() + b"'\ntR."
    folder = write_files(tmp_path / "pvqa", {"qas/train/train_qa.pkl": evil, "images/a.jpg": "a"})
    with pytest.raises(BadDataError, match="fetch the Parquet conversion flaviagia") as caught:
        read(source("path-vqa"), folder)
    assert caught.value.exit_code == 13
    assert not (tmp_path / "opened").exists()


def test_omni_med_vqa_keeps_options_and_leaves_out_what_is_ambiguous(tmp_path: Path) -> None:
    cases, skipped = read(source("omni-med-vqa"), omni_med_vqa(tmp_path / "OmniMedVQA"))
    assert skipped == {"answer is not exactly one of the options": 1}
    by_key = {case.key: case for case in cases}
    assert list(by_key) == [
        "ACRIMA-ACRIMA_0000",
        "ACRIMA-ACRIMA_0002",
        "ACRIMA-ACRIMA_0004",
        "Chest CT Scan-Chest CT Scan_0001",
    ]
    first, two, photograph, chest = by_key.values()
    assert first.options == ("Normal", "Glaucoma", "Cataract", "Myopia")
    assert first.question_type == "disease diagnosis"
    assert (two.options, two.answer) == (("Yes", "No"), "No")
    assert specialty_of(two.modality) == "Radiologist"
    assert specialty_of(photograph.modality) is None  # listed by the pipeline, with its word
    assert chest.modality == "CT" and chest.attributes["dataset"] == "Chest CT Scan"
    assert all(case.split == split_of_image(case.subject) for case in cases)


def test_the_split_of_omni_med_vqa_is_a_fifth_and_fixed() -> None:
    splits = [split_of_image(f"Images/ACRIMA/Im{n:03d}_ACRIMA.png") for n in range(2000)]
    assert 0.17 < splits.count("test") / 2000 < 0.23
    assert splits[:8] == ["train", "train", "train", "train", "train", "train", "train", "test"]


def test_mmmu_reads_marks_options_and_several_images(tmp_path: Path) -> None:
    cases, skipped = read(source("mmmu"), mmmu(tmp_path / "MMMU"))
    assert skipped == {
        "answer withheld by the source": 2,
        "the question names an image that is not there": 1,
        "answer is not exactly one of the options": 1,
    }
    by_key = {case.key: case for case in cases}
    first = by_key["validation_Clinical_Medicine_1"]
    assert first.answer == "Crohn's disease" and first.options[1] == first.answer
    assert (first.split, first.attributes["official_split"]) == ("test", "validation")
    assert by_key["dev_Clinical_Medicine_1"].split == "validation"
    two = by_key["validation_Clinical_Medicine_2"]
    assert len(two.images) == 2 and two.answer == "<image 2>"
    number = by_key["validation_Clinical_Medicine_3"]
    assert (number.answer_type, number.answer, number.options) == ("open", "12.5", ())
    assert specialty_of(number.modality) == "Radiologist"
    assert specialty_of(by_key["validation_Pharmacy_1"].modality) is None
    assert "validation_Accounting_1" not in by_key


def test_mmmu_merged_in_one_file_leaves_other_subjects_out(tmp_path: Path) -> None:
    rows = [mmmu_row("validation_Accounting_1"), mmmu_row("validation_Public_Health_2")]
    write_parquet(tmp_path / "data/validation-00000-of-00001.parquet", rows)
    cases, skipped = read(source("mmmu"), tmp_path)
    assert [case.attributes["subject"] for case in cases] == ["Public_Health"]
    assert skipped == {"another subject than Health & Medicine": 1}


def test_options_that_are_no_list_are_refused_by_row(tmp_path: Path) -> None:
    rows = [mmmu_row("validation_Pharmacy_1", options="__import__('os').system('true')")]
    write_parquet(tmp_path / "Pharmacy/validation-00000-of-00001.parquet", rows)
    with pytest.raises(BadDataError, match=r"parquet\[0\]: options are a text that is no list"):
        read(source("mmmu"), tmp_path)
