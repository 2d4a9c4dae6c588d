"""Tables as they are written: encodings, delimiters, headers, lines; and what comes through."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmedagent.cases.sources.own.mapping import TableFile
from mmedagent.cases.sources.own.problems import Problems
from mmedagent.cases.sources.own.tables import read_rows
from mmedagent.cases.sources.release import open_release
from mmedagent.errors import BadDataError
from mmedagent.recipes.sets import LimitsRecipe
from tests.mmedagent.cases.sources.own.hospital import (
    Hospital,
    csv_bytes,
    jsonl_bytes,
    mapping,
    parquet_bytes,
    rows,
)

GERMAN = [
    row | {"question": f"Zeigt Bild {n} eine Läsion größer als 5 µm?"}
    for n, row in enumerate(rows())
]


def declared(encoding: str = "utf-8", delimiter: str = ",") -> dict[str, Any]:
    table = {"path": "cases.csv", "format": "csv", "encoding": encoding, "delimiter": delimiter}
    return mapping(table=table)


@pytest.mark.parametrize(
    ("written", "said", "looks"),
    [
        ("utf-8", "cp1252", "utf-8"),
        ("utf-8", "iso8859-1", "utf-8"),
        ("utf-8-sig", "utf-8", "utf-8-sig"),
        ("utf-16", "utf-8", "utf-16"),
        ("utf-16-le", "utf-8", None),
        ("cp1252", "utf-8", "cp1252"),
        ("iso8859-1", "utf-8", "cp1252"),
        ("cp1252", "ascii", "cp1252"),
        ("cp1252", "utf-16", None),
    ],
)
def test_another_encoding_than_declared(
    written: str, said: str, looks: str | None, tmp_path: Path
) -> None:
    place = Hospital(tmp_path, mapped=declared(said), raw=csv_bytes(GERMAN, written))
    message = place.refusal()
    assert "cases.csv" in message
    if looks == "cp1252":  # Its relatives share these letters.
        assert f"not {said}, as the mapping says; it looks like cp125" in message
        assert "put `encoding: cp125" in message and "under `table`" in message
    elif looks:
        assert f"not {said}, as the mapping says; it looks like {looks}" in message
        assert f"put `encoding: {looks}` under `table`" in message


def test_an_encoding_that_changes_late_names_the_row(tmp_path: Path) -> None:
    many = [row | {"image": "0.png", "question": f"{n}?"} for n, row in enumerate(rows(3600))]
    raw = csv_bytes(many)
    at = raw.index(b"3300?")
    raw = raw[:at] + b"\xe4" + raw[at:]
    message = Hospital(tmp_path, mapped=declared(), raw=raw).refusal()
    row = int(message.split("row ")[1].split(":")[0])
    assert "not utf-8, as the mapping says" in message and 3000 < row <= 3302


@pytest.mark.parametrize(
    ("written", "said", "mend"),
    [
        (";", ",", 'put `delimiter: ";"` under `table`'),
        ("\t", ",", 'put `delimiter: "\\t"` under `table`'),
        (",", ";", 'put `delimiter: ","` under `table`'),
        ("|", ",", 'put `delimiter: "|"` under `table`'),
    ],
)
def test_another_delimiter_than_declared(
    written: str, said: str, mend: str, tmp_path: Path
) -> None:
    raw = csv_bytes(rows(), delimiter=written)
    message = Hospital(tmp_path, mapped=declared(delimiter=said), raw=raw).refusal()
    assert "it looks as if" in message and mend in message


def test_columns_that_occur_twice(tmp_path: Path) -> None:
    twice = [row | {"note": "x"} for row in rows()]
    raw = csv_bytes(twice).replace(b",note", b",image", 1)
    message = Hospital(tmp_path, raw=raw).refusal()
    assert message.startswith("cases.csv: columns 2 and 10 have the same name; rename one")


@pytest.mark.parametrize(
    ("format", "write"), [("csv", csv_bytes), ("jsonl", jsonl_bytes), ("parquet", parquet_bytes)]
)
def test_a_missing_column_is_named_with_the_nearest(
    format: str, write: Any, tmp_path: Path
) -> None:
    table = {"path": f"cases.{format}", "format": format}
    if format == "csv":
        table |= {"encoding": "utf-8", "delimiter": ","}
    place = Hospital(tmp_path, mapped=mapping(table=table, question="questions"), raw=write(rows()))
    message = place.refusal()
    assert "no column 'questions' (is it 'question'?) among its 9; correct the mapping" in message


def test_ragged_rows_are_all_named(tmp_path: Path) -> None:
    lines = csv_bytes(rows()).split(b"\r\n")
    lines[2] += b",more"
    lines[4] = lines[4].rsplit(b",", 2)[0]
    message = Hospital(tmp_path, raw=b"\r\n".join(lines)).refusal()
    assert "cases.csv row 3: 10 cells, the header has 9; put cells that hold `,` between" in message
    assert "cases.csv row 5: 7 cells, the header has 9" in message


@pytest.mark.parametrize("quote", [b'"unclosed', b'"closed"and more'])
def test_quotes_that_do_not_close(quote: bytes, tmp_path: Path) -> None:
    raw = csv_bytes(rows()).replace(b"Which finding does image 2 show?", quote)
    message = Hospital(tmp_path, raw=raw).refusal()
    assert "cases.csv row 4: a quoted cell that is not closed, or text behind" in message


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "no JSON object; put one JSON object, whole, on each line"),
        (b"[1, 2]", "JSON, and no object"),
        (b'{"a": 1, "a": 2}', "a key that occurs twice; keep one of them"),
        (b'{"a": NaN}', "no JSON object"),
        (b'{"a": "\xe4"}', "not UTF-8, as JSON is; write the table as UTF-8"),
        (b"[" * 100_000, "no JSON object"),
    ],
)
def test_lines_that_are_no_objects(line: bytes, said: str, tmp_path: Path) -> None:
    lines = jsonl_bytes(rows()).splitlines()
    lines[2] = line
    mapped = mapping(table={"path": "cases.jsonl", "format": "jsonl"})
    message = Hospital(tmp_path, mapped=mapped, raw=b"\n".join(lines)).refusal()
    assert f"cases.jsonl row 3: {said}" in message


def test_a_line_without_an_end_is_not_read_into_memory(tmp_path: Path) -> None:
    mapped = mapping(table={"path": "cases.jsonl", "format": "jsonl"})
    raw = json.dumps([rows(1)[0]] * 5000).encode()
    assert "more than 1048576 bytes" in Hospital(tmp_path, mapped=mapped, raw=raw).refusal()
    raw = csv_bytes(rows()) + b"x" * 2_000_000
    assert "a line of more than 1048576 characters" in Hospital(tmp_path, raw=raw).refusal()


def test_a_parquet_file_that_is_none_or_was_cut(tmp_path: Path) -> None:
    mapped = mapping(table={"path": "cases.parquet", "format": "parquet"})
    for raw in (b"PAR1", parquet_bytes(rows())[:-9], csv_bytes(rows())):
        message = Hospital(tmp_path, mapped=mapped, raw=raw).refusal()
        assert "cases.parquet: no readable Parquet file; write it anew" in message


def test_a_row_group_beyond_the_limit_is_not_unpacked(tmp_path: Path) -> None:
    mapped = mapping(table={"path": "cases.parquet", "format": "parquet"})
    small = LimitsRecipe(max_member_bytes=50_000)
    table = [row | {"question": f"{n:>3990}"} for n, row in enumerate(rows(40))]
    place = Hospital(tmp_path, mapped=mapped, raw=parquet_bytes(table), limits=small)
    assert "row group 0 claims" in place.refusal()


CELL = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=("Cs",)), max_size=40
)
NAMES = st.lists(
    st.text("abcdefghijklmnopqrstuvwxyz_ ", min_size=1, max_size=9).map(str.strip).filter(bool),
    min_size=1, max_size=5, unique=True,
)  # fmt: skip


def through(raw: bytes, table: TableFile, names: list[str], home: Path) -> list[dict[str, Any]]:
    (home / table.path).write_bytes(raw)
    problems = Problems(table.path)
    with open_release(home / table.path, LimitsRecipe()) as release:
        found = [row.cells for row in read_rows(release, table, names, problems)]
    problems.raise_if_any()
    return found


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from([",", ";", "\t", "|"]), st.sampled_from(["utf-8-sig", "utf-16"]))
def test_any_csv_comes_through_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, delimiter: str, encoding: str
) -> None:
    names = data.draw(NAMES)
    table = data.draw(st.lists(st.fixed_dictionaries({name: CELL for name in names}), max_size=6))
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, names, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(table)
    how = TableFile(path="t.csv", format="csv", encoding=encoding, delimiter=delimiter)
    home = tmp_path_factory.mktemp("table")
    assert through(buffer.getvalue().encode(encoding), how, names, home) == table


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_jsonl_and_parquet_come_through_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    names = data.draw(NAMES)
    cells = CELL | st.lists(CELL, max_size=3) | st.none() | st.integers(-(2**40), 2**40)
    table = data.draw(st.lists(st.fixed_dictionaries({name: cells for name in names}), max_size=6))
    home = tmp_path_factory.mktemp("table")
    how = TableFile(path="t.jsonl", format="jsonl")
    assert through(jsonl_bytes(table), how, names, home) == table
    texts = [{name: str(value) for name, value in row.items()} for row in table]
    if texts:
        how = TableFile(path="t.parquet", format="parquet")
        assert through(parquet_bytes(texts), how, names, home) == texts


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(["csv", "jsonl", "parquet"]))
def test_broken_tables_give_rows_or_a_message(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, format: str
) -> None:
    write = {"csv": csv_bytes, "jsonl": jsonl_bytes, "parquet": parquet_bytes}[format]
    raw = bytearray(write(rows(3)))
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(1, len(raw)))]
    how = {"path": f"t.{format}", "format": format}
    how |= {"encoding": "utf-8", "delimiter": ","} if format == "csv" else {}
    home = tmp_path_factory.mktemp("table")
    try:
        found = through(bytes(raw), TableFile(**how), ["patient", "image"], home)
    except BadDataError as error:
        assert str(error).startswith(f"t.{format}") and "Quarkstone" not in str(error)
    else:
        assert all(set(row) == {"patient", "image"} for row in found)
