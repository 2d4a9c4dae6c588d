"""What VQA-RAD and SLAKE say is what the cases have."""

from pathlib import Path

import pytest

from mmedagent.cases.modalities import specialty_of
from mmedagent.cases.sources.registry import source
from mmedagent.errors import BadDataError, UsageError
from mmedagent.recipes.sets import SourceRecipe
from tests.mmedagent.cases.sources.conformance import read
from tests.mmedagent.cases.sources.releases import (
    held,
    hub,
    rad_row,
    slake,
    slake_row,
    vqa_rad,
    write_files,
    write_parquet,
    zipped,
)


def test_vqa_rad_rows_become_cases(tmp_path: Path) -> None:
    cases, skipped = read(source("vqa-rad"), vqa_rad(tmp_path / "osfstorage-archive"))
    assert skipped == {"no answer": 1}
    assert [case.key for case in cases] == [str(n) for n in range(7)]
    assert [case.split for case in cases] == ["train"] * 3 + ["test"] * 2 + ["train"] * 2
    assert cases[1].question == "Is the lesion on the left or the right?"
    assert cases[1].answer == "Left"
    assert (cases[2].answer, cases[2].answer_type) == ("4", "open")
    assert cases[3].answer_type == "closed"  # released as "CLOSED "
    assert cases[4].question_type == "pres, abn"
    assert [case.modality for case in cases[1:4]] == ["CT or MRI", "X-ray", "CT"]
    assert {specialty_of(case.modality) for case in cases} == {"Radiologist"}
    assert cases[0].subject == cases[1].subject == "synpic0"
    assert cases[2].attributes == {"language": "en", "body_region": "chest"}
    assert cases[0].row == "osfstorage-archive: VQA_RAD Dataset Public.json[0]"


def test_vqa_rad_finds_its_pictures_in_a_zip_beside_the_table(tmp_path: Path) -> None:
    folder = vqa_rad(tmp_path / "release")
    plain, _ = read(source("vqa-rad"), folder)
    pictures = folder / "VQA_RAD Image Folder"
    zipped(pictures, folder / "VQA_RAD Image Folder.zip")
    for path in pictures.iterdir():
        path.unlink()
    pictures.rmdir()
    packed, _ = read(source("vqa-rad"), folder)
    assert [case.key for case in packed] == [case.key for case in plain]


def test_vqa_rad_without_its_pictures_says_where_they_should_be(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "release", {"VQA_RAD Dataset Public.json": [rad_row(0)]})
    with pytest.raises(UsageError, match="neither a folder VQA_RAD Image Folder nor VQA_RAD Image"):
        read(source("vqa-rad"), folder)


def test_a_picture_name_that_leaves_the_release_is_no_file_of_it(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"not yours")
    folder = vqa_rad(tmp_path / "release")
    rows = [rad_row(0, image_name="../../secret.jpg")]
    write_files(folder, {"VQA_RAD Dataset Public.json": rows})
    with pytest.raises(BadDataError, match="secret.jpg: not in the release"):
        read(source("vqa-rad"), folder)


def test_a_missing_column_is_named_with_its_row(tmp_path: Path) -> None:
    row = rad_row(0)
    del row["phrase_type"]
    folder = vqa_rad(tmp_path / "release")
    write_files(folder, {"VQA_RAD Dataset Public.json": [rad_row(1), row]})
    with pytest.raises(BadDataError, match=r"Public.json\[1\]: no 'phrase_type'") as caught:
        read(source("vqa-rad"), folder)
    assert caught.value.exit_code == 13


def test_the_hubs_rows_get_what_can_be_derived_and_no_more(tmp_path: Path) -> None:
    cases, skipped = read(source("vqa-rad"), hub(tmp_path / "release"))
    assert skipped == {"no answer": 2}
    train = [case for case in cases if case.split == "train"]
    assert [case.key for case in train] == [f"train-{n:06d}" for n in (0, 1, 2, 4)]
    assert [case.answer_type for case in train] == ["closed", "open", "closed", "open"]
    assert [case.question_type for case in train] == ["yes/no", "what", "other", "how many"]
    assert train[0].subject == train[1].subject != train[2].subject
    assert {case.modality for case in cases} == {"radiology"}


def test_slake_rows_become_cases_of_the_asked_language(tmp_path: Path) -> None:
    cases, skipped = read(source("slake"), slake(tmp_path / "Slake1.0"))
    assert skipped == {"another language": 2, "no answer": 1}
    assert [case.key for case in cases] == [
        "train-0",
        "train-1",
        "train-2",
        "validation-6",
        "test-8",
    ]
    assert [case.split for case in cases[2:]] == ["train", "validation", "test"]
    assert [case.answer_type for case in cases[:3]] == ["open", "closed", "closed"]
    assert cases[1].question_type == "size" and cases[1].modality == "X-Ray"
    assert cases[1].attributes == {"language": "en", "body_region": "abdomen"}
    assert cases[0].subject == "xmlab0"


def test_slake_in_chinese_and_in_both(tmp_path: Path) -> None:
    folder = slake(tmp_path / "Slake1.0")
    chinese = SourceRecipe(name="slake", languages=("zh",))
    cases, skipped = read(source("slake"), folder, chinese)
    assert [case.answer for case in cases] == ["核磁共振", "不是"]
    assert skipped == {"another language": 6}
    both, _ = read(source("slake"), folder, SourceRecipe(name="slake", languages=("en", "zh")))
    assert [case.key for case in both][:5] == [f"train-{n}" for n in range(5)]


def test_slakes_conversions_keep_the_labels_that_they_have(tmp_path: Path) -> None:
    row = {"image": held(1)} | {
        name: value for name, value in slake_row(3, q_lang="en").items() if name != "triple"
    }
    write_parquet(tmp_path / "r/train-00000-of-00001.parquet", [row])
    [case] = read(source("slake"), tmp_path / "r")[0]
    assert (case.modality, case.question_type, case.subject) == ("MRI", "modality", "xmlab1")
    assert case.answer_type == "open"
