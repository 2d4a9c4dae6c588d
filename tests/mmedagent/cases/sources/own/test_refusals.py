"""Every kind of bad table: what is said, where, how to mend it, and nothing of a patient."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmedagent.cases.sources.own.cells import text_of, text_problem
from mmedagent.cases.sources.own.paths import path_problem, resolved
from mmedagent.errors import BadDataError, UsageError
from mmedagent.recipes.sets import LimitsRecipe
from tests.mmedagent.cases.sources.own.hospital import (
    NUMBER,
    PATIENT,
    Hospital,
    broken,
    csv_bytes,
    jsonl_bytes,
    mapping,
    parquet_bytes,
    rows,
)

SECRET = f"{PATIENT} {NUMBER}"


def cell(home: Path, column: str, value: Any, **mapped: Any) -> str:
    """What is said of one bad cell in the fourth row of a spreadsheet."""

    def change(table: list[dict[str, Any]]) -> None:
        table[2][column] = value

    message = broken(home, change, **mapped)
    [first, said] = message.split("\n")
    assert first == "cases.csv: 1 bad cell"
    return said.removeprefix("cases.csv row 4")


@pytest.mark.parametrize(
    "value",
    ["=SUM(A1:A9)", "@SUM(1)", "+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "=1+1", "\t=1+1"],
)
def test_formulas_in_cells(value: str, tmp_path: Path) -> None:
    said = cell(tmp_path, "question", value)
    assert said == (
        f", column question: begins with {value.strip()[0]!r}, which a spreadsheet runs as a"
        " formula; begin with a word; numbers such as -5 are fine"
    )


@pytest.mark.parametrize(
    "value", ["-5", "- 5.5", "-", "+", "+/-", "-600 HU", "+2,5 D", "-10 %", "--"]
)
def test_numbers_and_signs_are_no_formulas(value: str, tmp_path: Path) -> None:
    table = rows()
    table[2] |= {"answer": value, "a": value}
    assert Hospital(tmp_path, table).cases()[2].answer == value


def test_questions_of_ten_thousand_characters(tmp_path: Path) -> None:
    said = cell(tmp_path, "question", f"{SECRET} " * 400)
    assert said.startswith(", column question: ") and "4000 are allowed; is it a report" in said
    table = rows()
    table[2]["question"] = "x" * 10_000
    place = Hospital(tmp_path, table, limits=LimitsRecipe(max_question_chars=10_000))
    assert len(place.cases()[2].question) == 10_000
    table[2]["question"] = "x" * 200_000
    assert (
        "cases.csv row 4: a quoted cell that is not closed" in Hospital(tmp_path, table).refusal()
    )


@pytest.mark.parametrize(
    ("character", "said"),
    [
        ("\0", "control character U+0000; take it out"),
        ("\x1b", "control character U+001B; take it out"),
        ("\x85", "control character U+0085; take it out"),
        ("\u202e", "U+202E, which turns the reading direction; take it out: Arabic and Hebrew"),
        ("\u2067", "U+2067, which turns the reading direction"),
        ("\U000e0041", "invisible tag characters; take them out"),
        ("\ufffd", "U+FFFD, left where an earlier program could not read a character"),
    ],
)
def test_characters_that_hide_or_break_text(character: str, said: str, tmp_path: Path) -> None:
    found = cell(tmp_path, "question", f"Is it {character}{SECRET}?")
    assert found.startswith(f", column question: {said}")


def test_half_characters_of_json(tmp_path: Path) -> None:
    raw = jsonl_bytes(rows()).replace(b"Which finding does image 3", b"\\ud800 which")
    mapped = mapping(table={"path": "cases.jsonl", "format": "jsonl"})
    message = Hospital(tmp_path, mapped=mapped, raw=raw).refusal()
    assert "cases.jsonl row 4, column question: half a character (a lone surrogate)" in message


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("../../etc/passwd", "a path that leaves the folder (..)"),
        ("inner/../../0.png", "a path that leaves the folder (..)"),
        ("/etc/passwd", "an absolute path; write it relative to `images.folder`, with /"),
        ("~/0.png", "an absolute path"),
        ("C:/scans/0.png", "an absolute path"),
        ("scans\\0.png", "a path with backslashes"),
        ("\\\\server\\share\\0.png", "a path with backslashes"),
        ("https://example.org/0.png", "a web address; fetch the image and name the file"),
        ("file:///etc/passwd", "a web address"),
        ("zebulon.png", "names no file of the release; mend the path or `images.folder`, or add"),
        ("3.PNG", "names no file; one differs from it only in capitals or Unicode form"),
        ("3", "names no file; one has this name with an ending"),
        (".", "names no file of the release"),
        ("", "names no image; name one, or take the row out"),
        ("['0.png', '1.png']", "a list written as text; map the column alone, with `list: python`"),
        ('["0.png"]', "a list written as text; map the column alone, with `list: json`"),
    ],
)
def test_paths_in_cells(path: str, said: str, tmp_path: Path) -> None:
    found = cell(tmp_path, "image", path)
    assert found.startswith(f", column image: {said}")
    assert not path or path == "." or len(path) < 3 or path not in found


def test_a_path_may_be_written_with_dots_and_folders(tmp_path: Path) -> None:
    table = rows()
    table[0]["image"] = "./0.png"
    assert Hospital(tmp_path, table, mapping()).cases()[0].images[0].read()
    table = [row | {"image": f"images/{row['image']}"} for row in rows()]
    mapped = mapping(images={"columns": ["image"]})
    assert len(Hospital(tmp_path, table, mapped).cases()) == 6


@pytest.mark.parametrize("target", ["/etc/hostname", "0.png"])
def test_symbolic_links_are_not_followed(target: str, tmp_path: Path) -> None:
    place = Hospital(tmp_path).write()
    link = place.release / "images" / "5.png"
    link.unlink()
    os.symlink(target, link)
    with pytest.raises(BadDataError, match="symbolic link") as caught:
        place.write = lambda: place  # type: ignore[method-assign]
        place.cases()
    assert caught.value.exit_code == 13


@pytest.mark.parametrize(
    ("changes", "column", "said"),
    [
        ({"answer": SECRET}, "answer", "matches none of the 2 options; write it as one of them"),
        ({"answer": ""}, "answer", "empty; fill it in, or take the row out"),
        ({"a": "No Effusion"}, "b", "options 1 and 2 are the same; mend one"),
        (
            {"a": "", "answer": "no effusion"},
            "a",
            "one option; give two or more; if the cell holds",
        ),
        (
            {"a": "['x','y']"},
            "a",
            "a list written as text; map the column alone, with `list: python`",
        ),
        (
            {"a": '["x","y"]'},
            "a",
            "a list written as text; map the column alone, with `list: json`",
        ),
        ({"a": "('x', 'y')"}, "a", "a list written as text"),
        ({"patient": " "}, "patient", "empty; fill it in, or take the row out"),
        ({"split": SECRET}, "split", "a word that `split.values` does not have; add it to the"),
        ({"type": ""}, "type", "empty; fill it in"),
        ({"modality": "x" * 201}, "modality", "201 characters, 200 are allowed"),
    ],
)
def test_cells_that_do_not_fit(
    changes: dict[str, str], column: str, said: str, tmp_path: Path
) -> None:
    def change(table: list[dict[str, Any]]) -> None:
        table[2] |= changes

    assert f"cases.csv row 4, column {column}: {said}" in broken(tmp_path, change)


def test_answers_by_letter_or_number_that_no_option_has(tmp_path: Path) -> None:
    for how, answer in (
        ("letter", "C"),
        ("letter", "AB"),
        ("number from 1", "0"),
        ("number from 0", "2"),
        ("number from 0", "²"),
    ):
        table = [row | {"answer": "A" if how == "letter" else "1"} for row in rows()]
        table[2]["answer"] = answer
        named = {"column": "answer", "given_as": how}
        message = Hospital(tmp_path, table, mapping(answer=named)).refusal()
        assert "row 4, column answer: matches none of the 2 options" in message
        assert f"mend `given_as: {how}`" in message


def test_a_list_that_is_none(tmp_path: Path) -> None:
    table = [row | {"a": '["effusion", "no effusion"]'} for row in rows()]
    table[2]["a"] = f'["{SECRET}"'
    options = {"columns": ["a"], "list": "json"}
    message = Hospital(tmp_path, table, mapping(options=options)).refusal()
    assert "row 4, column a: no list as `list: json` says; mend the cell" in message
    table[2]["a"] = "__import__('os').system('id')"
    python = {"columns": ["a"], "list": "python"}
    message = Hospital(tmp_path, table, mapping(options=python)).refusal()
    assert "row 4, column a: no list as `list: python` says" in message


def test_too_many_options_and_parts(tmp_path: Path) -> None:
    table = [row | {"a": "|".join(map(str, range(30)))} for row in rows()]
    mapped = mapping(options={"columns": ["a"], "list": "|"})
    assert (
        "row 2, column a: 30 options; 26 are the most"
        in Hospital(tmp_path, table, mapped).refusal()
    )
    table = [row | {"a": "|" * 100} for row in rows()]
    assert "row 2, column a: a list of 101 parts" in Hospital(tmp_path, table, mapped).refusal()


def test_words_that_the_mapping_does_not_translate(tmp_path: Path) -> None:
    table = rows()
    table[2]["type"] = SECRET
    mapped = mapping(question_type={"column": "type", "values": {"Finding": "abnormality"}})
    message = Hospital(tmp_path, table, mapped).refusal()
    assert "row 4, column type: a word that `question_type.values` does not have" in message


def test_a_folder_that_leaves_the_release_is_a_wrong_mapping(tmp_path: Path) -> None:
    place = Hospital(tmp_path, mapped=mapping(images={"folder": "../..", "columns": ["image"]}))
    with pytest.raises(UsageError, match="images.folder is a path that leaves the folder"):
        place.cases()


def test_the_same_row_twice(tmp_path: Path) -> None:
    message = broken(tmp_path, lambda table: table.append(dict(table[1])))
    assert "cases.csv row 8: the same as row 3; take one out" in message
    named = [row | {"id": NUMBER if n in (1, 4) else n} for n, row in enumerate(rows())]
    message = Hospital(tmp_path, named, mapping(id="id")).refusal()
    assert "cases.csv row 6, column id: the same id as row 3; take one out" in message


def test_all_bad_rows_are_listed_up_to_twenty(tmp_path: Path) -> None:
    def change(table: list[dict[str, Any]]) -> None:
        table[0] |= {"image": "none.png", "answer": "", "question": "=1"}
        table[3]["split"] = "?"

    message = broken(tmp_path, change)
    assert message.startswith("cases.csv: 4 bad cells\n") and message.count("\n") == 4
    many = [row | {"image": "none.png"} for row in rows(100)]
    message = Hospital(tmp_path, many).refusal()
    assert message.count("names no file") == 20
    assert message.endswith("(reading stopped at 20; there may be more)")


def test_nothing_is_yielded_from_the_first_bad_row_on(tmp_path: Path) -> None:
    table = rows()
    table[1]["answer"] = "?"
    place, met = Hospital(tmp_path, table).write(), []
    from collections import Counter

    from mmedagent.cases.sources.own.adapter import OwnCases
    from mmedagent.cases.sources.release import open_release

    with open_release(place.release, place.limits) as release, pytest.raises(BadDataError):
        for case in OwnCases(place.key).cases(release, place.recipe, Counter()):
            met.append(case.row)
    assert met == ["cases.csv row 2"]


def test_numbers_that_are_none(tmp_path: Path) -> None:
    table = [row | {"slice": 1, "width": 400} for row in rows()]
    view = {
        "frame": {"column": "slice", "first": 1},
        "window": {"centre": {"value": 40}, "width": {"column": "width"}},
    }
    for column, value, said in (
        ("slice", SECRET, "no number; write it as 40"),
        ("slice", "nan", "no number"),
        ("slice", "1.5", "no whole number from 1"),
        ("slice", "0", "no whole number from 1"),
        ("width", "0", "no window: centre and width go together"),
        ("width", "", "no window: centre and width go together"),
    ):
        bad = [dict(row) for row in table]
        bad[2][column] = value
        message = Hospital(tmp_path, bad, mapping(view=view)).refusal()
        assert f"row 4, column {column}: {said}" in message


def test_open_questions_with_options(tmp_path: Path) -> None:
    mapped = mapping(answer_type={"column": "type", "values": {"Finding": "open"}})
    message = Hospital(tmp_path, mapped=mapped).refusal()
    assert "row 2, column type: an open question with options; mend one" in message


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (["x"], "a list where one value is expected; map the column with `list: native`"),
        ({"bytes": b"x", "path": ""}, "image bytes in the table; write them to files"),
        (b"x", "a value of type bytes; write it as text"),
    ],
)
def test_typed_cells_of_a_parquet_file(value: Any, said: str, tmp_path: Path) -> None:
    table = [row | {"image": value} for row in rows()]
    mapped = mapping(table={"path": "cases.parquet", "format": "parquet"})
    message = Hospital(tmp_path, mapped=mapped, raw=parquet_bytes(table)).refusal()
    assert f"cases.parquet row 1, column image: {said}" in message


def test_a_planted_patient_is_in_no_message_even_as_a_column(tmp_path: Path) -> None:
    raw = csv_bytes(rows()).split(b"\r\n", 1)[1]  # without a header: the first row is a patient's
    message = Hospital(tmp_path, raw=raw).refusal()
    assert "no column 'image', 'question'" in message and "among its 9" in message
    assert "the first row must hold the columns' names" in message


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(exclude_categories=()), min_size=9, max_size=60))
def test_any_text_comes_through_unchanged_or_is_refused_unsaid(text: str) -> None:
    found = text_of(text)
    assert isinstance(found, str) and found == text.strip()
    problem = text_problem(found, 4000)
    if problem is None:
        assert found.encode().decode() == found
        assert not set(found) & set("\0\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
        assert not found.startswith(("=", "@"))
    else:
        assert len(found) < 9 or found not in " ".join(problem)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40))
def test_any_path_stays_within_the_release(cell: str) -> None:
    if path_problem(cell) is None:
        name = resolved("images", cell)
        assert not name.startswith("/") and ".." not in name.split("/")
        assert name == "images" or name.startswith("images/")
