"""A hospital's table becomes cases: what each field of the mapping does."""

import pickle
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mmedagent.cases.imaging.decode import decode
from mmedagent.cases.sources.contract import View
from mmedagent.cases.sources.own.adapter import OwnCases
from mmedagent.cases.sources.release import open_release
from mmedagent.errors import BadDataError, UsageError
from mmedagent.recipes.sets import LimitsRecipe, SourceRecipe
from tests.mmedagent.cases.examples import noise
from tests.mmedagent.cases.imaging.files import dicom, real
from tests.mmedagent.cases.sources.conformance import hold, most_memory
from tests.mmedagent.cases.sources.own.hospital import (
    NUMBER,
    PATIENT,
    Hospital,
    csv_bytes,
    jsonl_bytes,
    mapping,
    parquet_bytes,
    rows,
)
from tests.mmedagent.cases.sources.releases import tarred, zipped


def table_of(format: str, **how: str) -> dict[str, Any]:
    return {"path": f"cases.{format}", "format": format} | how


def test_own_cases_hold_to_the_contract_of_all_sources(tmp_path: Path) -> None:
    place = Hospital(tmp_path).write()
    hold(OwnCases(place.key), place.release, place.recipe)


def packed_in(home: Path, packing: str, table: list[dict[str, Any]]) -> tuple[Hospital, Path]:
    """The same release as an archive with one folder at its top, as people pack them."""
    mapped = mapping(
        table=table_of("csv", encoding="utf-8", delimiter=",") | {"path": "release/cases.csv"},
        images={"folder": "release/images", "columns": ["image"]},
    )
    place = Hospital(home, table).write()
    place.mapping_file.write_text(yaml.safe_dump(mapped), "utf-8")
    packed = home / f"packed.{packing}"
    zipped(place.release, packed) if packing == "zip" else tarred(place.release, packed)
    return place, packed


@pytest.mark.parametrize("packing", ["zip", "tar", "tar.gz"])
def test_every_packing_gives_the_same_cases(packing: str, tmp_path: Path) -> None:
    place, packed = packed_in(tmp_path, packing, rows())
    with open_release(packed, LimitsRecipe()) as release:
        cases = list(OwnCases(place.key).cases(release, place.recipe, Counter()))
        assert [case.images[0].read() for case in cases] == [noise(n) for n in range(6)]
        subjects = [case.subject for case in cases]
    assert [case.subject for case in Hospital(tmp_path).cases()] == subjects


@pytest.mark.parametrize(
    ("how", "raw"),
    [
        (table_of("csv", encoding="cp1252", delimiter=";"), csv_bytes(rows(), "cp1252", ";")),
        (
            table_of("csv", encoding="utf-8-sig", delimiter="\t"),
            csv_bytes(rows(), "utf-8-sig", "\t"),
        ),
        (table_of("csv", encoding="utf-16", delimiter="|"), csv_bytes(rows(), "utf-16", "|")),
        (table_of("jsonl"), jsonl_bytes(rows())),
        (table_of("parquet"), parquet_bytes(rows())),
    ],
    ids=["semicolon", "tab", "utf-16", "jsonl", "parquet"],
)
def test_every_kind_of_table_gives_the_same_cases(
    how: dict[str, Any], raw: bytes, tmp_path: Path
) -> None:
    plain = Hospital(tmp_path).cases()
    shutil.rmtree(tmp_path / "release")
    cases = Hospital(tmp_path, mapped=mapping(table=how), raw=raw).cases()
    strip = [(c.key, c.question, c.options, c.answer, c.subject, c.split) for c in plain]
    assert [(c.key, c.question, c.options, c.answer, c.subject, c.split) for c in cases] == strip


def test_a_row_becomes_a_case(tmp_path: Path) -> None:
    first, second, *_ = Hospital(tmp_path).cases()
    assert first.row == "cases.csv row 2" and first.images[0].place.endswith("row 2, column image")
    assert (first.question, first.answer) == ("Which finding does image 0 show?", "no effusion")
    assert first.options == ("effusion", "no effusion") and first.answer_type == "closed"
    assert (first.question_type, first.modality, first.split) == ("finding", "CR", "train")
    assert first.attributes == {"language": "en"}
    assert first.subject == second.subject and first.key != second.key


def test_nothing_of_a_patient_is_in_a_case(tmp_path: Path) -> None:
    for case in Hospital(tmp_path).cases():
        text = repr({**vars(case), "images": [image.place for image in case.images]})
        assert PATIENT not in text and NUMBER not in text and "Quarkstone" not in text


def test_pseudonyms_and_keys_do_not_move_with_the_rows(tmp_path: Path) -> None:
    plain = {case.question: (case.key, case.subject) for case in Hospital(tmp_path).cases()}
    turned = Hospital(tmp_path, rows()[::-1]).cases()
    assert {case.question: (case.key, case.subject) for case in turned} == plain
    (tmp_path / "privacy.key").unlink()
    other = Hospital(tmp_path).cases()
    assert not {case.subject for case in other} & {subject for _, subject in plain.values()}


@pytest.mark.parametrize(
    ("given", "answers"),
    [
        ("letter", ["B", "(a)", "b.", "A)", "B", "a"]),
        ("number from 0", ["1", "0", "1", "0", "1", "0"]),
        ("number from 1", ["2", "1", "2", "1", "2", "1"]),
        (
            "text",
            ["No  effusion.", "Effusion", "the no effusion", "EFFUSION", "no effusion", "effusion"],
        ),
    ],
)
def test_answers_are_options_however_they_are_given(
    given: str, answers: list[str], tmp_path: Path
) -> None:
    named = [row | {"answer": answer} for row, answer in zip(rows(), answers, strict=True)]
    how = {"column": "answer", "given_as": given}
    cases = Hospital(tmp_path, named, mapping(answer=how)).cases()
    assert [case.answer for case in cases] == ["no effusion", "effusion"] * 3


@pytest.mark.parametrize(
    ("cell", "form"),
    [
        ('["effusion", "no effusion"]', "json"),
        ("['effusion', 'no effusion']", "python"),
        ("effusion | no effusion", "|"),
        ("effusion;;no effusion", ";;"),
    ],
)
def test_a_list_in_a_cell_is_read_as_the_mapping_says(cell: str, form: str, tmp_path: Path) -> None:
    listed = [row | {"a": cell} for row in rows()]
    cases = Hospital(tmp_path, listed, mapping(options={"columns": ["a"], "list": form})).cases()
    assert {case.options for case in cases} == {("effusion", "no effusion")}


@pytest.mark.parametrize(("format", "write"), [("jsonl", jsonl_bytes), ("parquet", parquet_bytes)])
def test_lists_of_a_typed_table_are_native(format: str, write: Any, tmp_path: Path) -> None:
    listed = [row | {"image": [row["image"], "0.png"], "a": [row["a"], row["b"]]} for row in rows()]
    mapped = mapping(
        table=table_of(format),
        images={"folder": "images", "columns": ["image"], "list": "native"},
        options={"columns": ["a"], "list": "native"},
    )
    case = Hospital(tmp_path, mapped=mapped, raw=write(listed)).cases()[1]
    assert [image.read() for image in case.images] == [noise(1), noise(0)]
    assert case.options == ("effusion", "no effusion")


def test_typed_cells_are_texts_as_they_are_written(tmp_path: Path) -> None:
    typed: list[dict[str, Any]] = [
        row | {"answer": 2, "a": 2, "b": 3.5, "x": None} for row in rows()
    ]
    typed[1] |= {"answer": True, "a": True, "b": False}
    mapped = mapping(table=table_of("jsonl"), attributes={"x": "x"})
    raw = jsonl_bytes(typed).replace(b"\n", b"\n\n", 1)  # an empty line is no row
    first, second, *_ = Hospital(tmp_path, mapped=mapped, raw=raw).cases()
    assert (first.answer, first.options) == ("2", ("2", "3.5"))
    assert (second.answer, second.options) == ("true", ("true", "false"))
    assert first.attributes == {"language": "en"} and second.row == "cases.jsonl row 3"


def test_several_image_columns_and_fewer_images_in_a_row(tmp_path: Path) -> None:
    two = [row | {"before": "0.png" if number else ""} for number, row in enumerate(rows())]
    images = {"folder": "images", "columns": ["image", "before"]}
    cases = Hospital(tmp_path, two, mapping(images=images)).cases()
    assert [len(case.images) for case in cases] == [1, 2, 2, 2, 2, 2]
    assert cases[1].images[1].place == "cases.csv row 3, column before"


def test_open_questions_have_no_options(tmp_path: Path) -> None:
    mapped = mapping(options=None, answer_type={"column": "type", "values": {"Finding": "open"}})
    for case in Hospital(tmp_path, mapped=mapped).cases():
        assert case.answer_type == "open" and case.options == ()


def test_attributes_and_the_rows_own_id(tmp_path: Path) -> None:
    named = [row | {"id": f"{NUMBER}/{n}", "sex": "f"} for n, row in enumerate(rows())]
    cases = Hospital(tmp_path, named, mapping(id="id", attributes={"sex": "sex"})).cases()
    assert cases[0].attributes == {"language": "en", "sex": "f"}
    assert NUMBER not in cases[0].key
    reworded = [row | {"question": "What is seen?"} for row in named]
    again = Hospital(tmp_path, reworded, mapping(id="id", attributes={"sex": "sex"})).cases()
    assert [case.key for case in again] == [case.key for case in cases]


def test_shares_cut_by_subject_and_stay_when_cases_are_added(tmp_path: Path) -> None:
    many = [
        row | {"patient": f"{n // 2}", "question": f"{n}?", "image": "0.png"}
        for n, row in enumerate(rows(2000))
    ]
    shares = {"train": 0.7, "validation": 0.1, "test": 0.2}
    mapped = mapping(split={"by_subject": shares})
    cases = Hospital(tmp_path, many, mapped).cases()
    counts = Counter(case.split for case in cases)
    assert {name: round(counts[name] / 2000, 1) for name in shares} == shares
    splits = {case.subject: case.split for case in cases}
    assert all(splits[case.subject] == case.split for case in cases)
    fewer = Hospital(tmp_path, many[:500], mapped).cases()
    assert all(splits[case.subject] == case.split for case in fewer)


def test_frames_axes_and_windows_reach_the_view(tmp_path: Path) -> None:
    seen = [
        row | {"slice": n + 1, "plane": "ax", "centre": "-600", "width": "1500.0"}
        for n, row in enumerate(rows())
    ]
    seen[5] |= {"slice": "", "plane": "", "centre": "", "width": ""}
    view = {
        "frame": {"column": "slice", "first": 1},
        "axis": {"column": "plane", "values": {"ax": "axial"}},
        "window": {"centre": {"column": "centre"}, "width": {"column": "width"}},
    }
    cases = Hospital(tmp_path, seen, mapping(view=view)).cases()
    assert cases[2].images[0].view == View(2, "axial", (-600.0, 1500.0))
    assert cases[5].images[0].view == View()
    fixed = mapping(
        view={
            "axis": {"value": "coronal"},
            "window": {"centre": {"value": 40}, "width": {"value": 400}},
        }
    )
    assert Hospital(tmp_path, seen, fixed).cases()[0].images[0].view == View(
        None, "coronal", (40.0, 400.0)
    )


def test_each_image_of_a_row_may_have_its_own_frame(tmp_path: Path) -> None:
    seen = [row | {"image": "0.png|0.png|1.png", "slice": "3|7|1"} for row in rows()]
    mapped = mapping(
        images={"folder": "images", "columns": ["image"], "list": "|"},
        view={"frame": {"column": "slice", "first": 1, "list": "|"}},
    )
    place = Hospital(tmp_path, seen, mapped)
    assert [image.view.frame for image in place.cases()[0].images] == [2, 6, 0]
    seen[2]["slice"] = "3|7"
    assert "row 4, column slice: 2 frames for 3 images; give one for each" in place.refusal()
    seen[2]["slice"] = "3|7|x"
    assert "row 4, column slice: no number" in place.refusal()


def test_the_modality_comes_from_the_dicom_header(tmp_path: Path) -> None:
    names = ["CT_small.dcm", "MR_small.dcm", "examples_palette.dcm"]
    shown = [row | {"image": name} for row, name in zip(rows(3), names, strict=True)]
    place = Hospital(
        tmp_path,
        shown,
        mapping(modality={"dicom_header": True}),
        images={name: real(name) for name in names},
    )
    cases = place.cases()
    assert [case.modality for case in cases] == ["CT", "MR", "US"]
    image = cases[0].images[0]
    read = pickle.loads(pickle.dumps(image.read))  # as a worker process is handed it
    assert decode(read(), image.view, place.limits, image.place).image.size == (128, 128)
    place.table = [row | {"also": "CT_small.dcm"} for row in shown]
    place.mapped["images"] = {"folder": "images", "columns": ["image", "also"]}
    assert "row 3: images of several modalities; map a column" in place.refusal()
    place.table, place.mapped["images"] = shown, {"folder": "images", "columns": ["image"]}
    place.images["CT_small.dcm"] = noise(0)
    message = place.refusal()
    assert "cases.csv row 2, column image: no DICOM file, so no header says its modality" in message
    place.images["CT_small.dcm"] = dicom(np.zeros((4, 4), np.uint16), Modality="")
    assert "no Modality (0008,0060) in the DICOM header" in place.refusal()


def test_text_of_every_script_comes_through_unchanged(tmp_path: Path) -> None:
    texts = [
        "هل توجد كسور في الصورة؟",
        "האם יש שבר בתמונה?",
        "Zeigt das Bild eine Läsion ≥ 5 µm?",
        "胸部X光片显示什么？",
        "क्या यह सामान्य है?",
        "آیا این عکس می‌نماید؟",
    ]
    named = [row | {"question": text} for row, text in zip(rows(), texts, strict=True)]
    assert [case.question for case in Hospital(tmp_path, named).cases()] == texts


def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    many = [
        row | {"image": "0.png", "patient": str(n), "question": f"{n}?" * 20}
        for n, row in enumerate(rows(2500))
    ]
    # Not a folder: pathlib interns every path, and that table grows in jumps.
    place, packed = packed_in(tmp_path, "zip", many)
    with open_release(packed, place.limits) as release:
        cases = OwnCases(place.key).cases(release, place.recipe, Counter())
        # The cases alone are 4 MB; the interpreter keeps 0.2 MB of freed small objects.
        assert most_memory(cases, 200) < 500_000


def test_without_mapping_key_or_table_the_mend_is_said(tmp_path: Path) -> None:
    place = Hospital(tmp_path).write()
    with open_release(place.release, place.limits) as release:

        def read(recipe: SourceRecipe, key: Path = place.key) -> None:
            next(OwnCases(key).cases(release, recipe, Counter()))

        with pytest.raises(UsageError, match="`mmedagent data init` makes one"):
            read(SourceRecipe(name="own"))
        with pytest.raises(UsageError, match="there is no such mapping file"):
            read(SourceRecipe(name="own", mapping=str(tmp_path / "none.yaml")))
        with pytest.raises(BadDataError, match="there is no pseudonym key"):
            read(place.recipe, tmp_path / "none.key")
    (place.release / "cases.csv").rename(place.release / "other.csv")
    with (
        open_release(place.release, place.limits) as release,
        pytest.raises(UsageError, match=r"has no table 'cases.csv'; it has \['other.csv'\]"),
    ):
        next(OwnCases(place.key).cases(release, place.recipe, Counter()))
