"""`mmedagent data init`: proposes, asks, and takes nothing that nobody said."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmedagent.cases.sources.own.mapping import read_mapping
from mmedagent.cli.data import app
from mmedagent.errors import BadDataError, UsageError
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

RUN = CliRunner()
ANSWERS = {
    "Which table": "",
    "In which encoding": "",
    "What stands between": "",
    "Which column names the image": "",
    "Which folder": "",
    "Which column is the question": "",
    "Which column is the right answer": "",
    "Which columns are the options": "",
    "Does a cell hold several": "",
    "How is the answer given": "text",
    "closed or open": "closed",
    "What kind of question": "",
    "Which modality": "",
    "Which language": "en",
    "whose image it is": "",
    "Which split:": "",
    "Which split is 'te'": "test",
    "Which split is 'tr'": "train",
    "Which split is 'va'": "validation",
}
"""What is asked, in order, and answered; an empty answer takes what is proposed."""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def typed(**changes: str) -> str:
    """The answers as they are typed; a change is named by the question's first words."""
    answers = ANSWERS | {name.replace("_", " "): text for name, text in changes.items()}
    return "".join(f"{text}\n" for name, text in answers.items() if "several" not in name)


def said(*fields: str) -> list[str]:
    return [part for field in fields for part in ("--set", field)]


def test_the_guided_way_gives_the_mapping(tmp_path: Path) -> None:
    place = Hospital(tmp_path).write()
    result = RUN.invoke(app, ["init", "chest", str(place.release)], input=typed())
    assert result.exit_code == 0, result.output
    found = read_mapping(tmp_path / "data" / "sets" / "chest.mapping.yaml")
    assert found.model_dump(exclude_defaults=True) == {
        **read_mapping(place.mapping_file).model_dump(exclude_defaults=True)
    }
    at = [result.output.index(question) for question in ANSWERS if "several" not in question]
    assert at == sorted(at)
    assert "6 rows of cases.csv read well by it" in result.output
    command = "mmedagent data add chest --source own --mapping data/sets/chest.mapping.yaml"
    assert f"next: {command} {place.release}" in result.output
    assert "`mmedagent data key` makes the key" in result.output


def test_columns_are_shown_with_counts_and_never_with_cells(tmp_path: Path) -> None:
    place = Hospital(tmp_path).write()
    result = RUN.invoke(app, ["init", "chest", str(place.release)], input=typed())
    shown = next(line for line in result.output.splitlines() if "│ patient" in line)
    facts = [cell.strip() for cell in shown.split("│")[2:-1]]
    assert facts == ["text", "6", "3", "34"]
    files = next(line for line in result.output.splitlines() if "│ image" in line)
    assert "files" in files
    for secret in (PATIENT, NUMBER, "Quarkstone", "finding does image"):
        assert secret not in result.output


@pytest.mark.parametrize(("format", "write"), [("jsonl", jsonl_bytes), ("parquet", parquet_bytes)])
def test_other_tables_are_not_asked_for_an_encoding(
    format: str, write: object, tmp_path: Path
) -> None:
    table = {"path": f"cases.{format}", "format": format}
    place = Hospital(tmp_path, mapped=mapping(table=table), raw=write(rows())).write()  # type: ignore[operator]
    answers = "".join(typed().splitlines(keepends=True)[:1] + typed().splitlines(keepends=True)[3:])
    result = RUN.invoke(app, ["init", "chest", str(place.release)], input=answers)
    assert result.exit_code == 0, result.output
    assert "encoding" not in result.output
    assert read_mapping(Path("data/sets/chest.mapping.yaml")).table.format == format


def test_lists_headers_and_tables_are_asked_for(tmp_path: Path) -> None:
    listed = [
        row | {"image": f"['{row['image']}']", "a": "effusion|no effusion", "type": "x"}
        for row in rows()
    ]
    place = Hospital(tmp_path, listed).write()
    (place.release / "other.csv").write_bytes(b"a,b\n1,2\n")
    answers = [
        *("elsewhere.csv", "cases.csv", "", "", "image", "images", "python", "", "", "a", "|"),
        *("text", "closed", "", "header", "en", "", "shares 0.8 0.1 0.1"),
    ]
    result = RUN.invoke(
        app, ["init", "chest", str(place.release)], input="".join(f"{a}\n" for a in answers)
    )
    assert "Which table (2 there)?" in result.output
    assert "one of cases.csv, other.csv" in result.output
    found = read_mapping(Path("data/sets/chest.mapping.yaml"))
    assert found.images.list == "python" and found.options is not None
    assert (found.options.columns, found.options.list) == (("a",), "|")
    assert found.modality.dicom_header is True
    # The images are PNG: the mapping is written, and what its header asks for is refused.
    assert "no DICOM file, so no header says its modality" in str(result.exception)


def test_a_wrong_answer_is_asked_again(tmp_path: Path) -> None:
    place = Hospital(tmp_path).write()
    answers = typed(Which_column_is_the_question="nonsense\nquestion")
    result = RUN.invoke(app, ["init", "chest", str(place.release)], input=answers)
    assert result.exit_code == 0, result.output
    assert "a column of the table: patient, image, question" in result.output


def test_shares_and_a_split_that_is_none(tmp_path: Path) -> None:
    named = [row | {"split": str(n % 20)} for n, row in enumerate(rows(40))]
    named = [row | {"image": "0.png"} for row in named]
    place = Hospital(tmp_path, named).write()
    tries = {"Which split:": "\nshares 0.7 0.7 0.7\nshares 0.7 0.1 0.2"}
    answers = typed(**tries).removesuffix("test\ntrain\nvalidation\n")
    result = RUN.invoke(app, ["init", "chest", str(place.release)], input=answers)
    assert result.exit_code == 0, result.output
    assert "a column of at most 12 different words, or shares" in result.output
    assert "which add up to 1" in result.output
    split = read_mapping(Path("data/sets/chest.mapping.yaml")).split
    assert split.by_subject == {"train": 0.7, "validation": 0.1, "test": 0.2}


def test_set_answers_a_question_beforehand(tmp_path: Path) -> None:
    place = Hospital(tmp_path).write()
    given = ("subject=patient", "modality.value=CT", "answer.given_as=text", "language.value=de")
    answers = {
        name: text
        for name, text in ANSWERS.items()
        if not any(word in name for word in ("several", "whose", "modality", "given", "language"))
    }
    result = RUN.invoke(
        app,
        ["init", "chest", str(place.release), *said(*given)],
        input="".join(f"{text}\n" for text in answers.values()),
    )
    assert result.exit_code == 0, result.output
    found = read_mapping(Path("data/sets/chest.mapping.yaml"))
    assert (found.subject, found.modality.value, found.language.value) == ("patient", "CT", "de")
    assert "whose image" not in result.output and "Which modality" not in result.output


def test_with_yes_nothing_is_guessed(tmp_path: Path) -> None:
    place = Hospital(tmp_path).write()
    result = RUN.invoke(app, ["init", "chest", str(place.release), "--yes", *said("question=q")])
    assert isinstance(result.exception, UsageError) and result.exception.exit_code == 2
    for field in ("table", "images", "answer", "answer_type", "modality", "subject", "split"):
        assert f"{field}: missing: nothing is guessed" in str(result.exception)
    assert not Path("data").exists()


def test_it_is_scriptable_to_the_end(tmp_path: Path) -> None:
    place = Hospital(tmp_path).write()

    def flat(values: dict[str, object], above: str = "") -> list[str]:
        found = []
        for name, value in values.items():
            if isinstance(value, dict):
                found += flat(value, f"{above}{name}.")
            else:
                found.append(f"{above}{name}={json.dumps(value)}")
        return found

    command = ["init", "chest", str(place.release), "--yes", *said(*flat(mapping()))]
    result = RUN.invoke(app, command)
    assert result.exit_code == 0, (result.output, result.exception)
    path = Path("data/sets/chest.mapping.yaml")
    assert read_mapping(path) == read_mapping(place.mapping_file)
    again = RUN.invoke(app, command)
    assert isinstance(again.exception, UsageError) and "give --force" in str(again.exception)
    assert RUN.invoke(app, [*command, "--force"]).exit_code == 0


def test_a_table_that_needs_mending_is_said_after_the_mapping_is_written(tmp_path: Path) -> None:
    table = rows()
    table[3]["answer"] = f"{PATIENT}"
    place = Hospital(tmp_path, table).write()
    result = RUN.invoke(app, ["init", "chest", str(place.release)], input=typed())
    assert isinstance(result.exception, BadDataError)
    assert "cases.csv row 5, column answer: matches none" in str(result.exception)
    assert PATIENT not in str(result.exception) + result.output
    assert Path("data/sets/chest.mapping.yaml").is_file()


@pytest.mark.parametrize(
    ("raw", "error", "message"),
    [
        (b"", BadDataError, "cases.csv: the table is empty; export it again"),
        (
            csv_bytes(rows()).split(b"\r\n", 1)[1],
            BadDataError,
            "cases.csv row 1: no names of columns but data",
        ),
    ],
)
def test_a_table_without_a_header_or_rows_is_refused(
    raw: bytes, error: type[Exception], message: str, tmp_path: Path
) -> None:
    place = Hospital(tmp_path, raw=raw).write()
    result = RUN.invoke(app, ["init", "chest", str(place.release)], input=typed())
    assert isinstance(result.exception, error) and message in str(result.exception)
    assert PATIENT not in str(result.exception) + result.output


def test_without_a_table_or_a_terminal_the_mend_is_said(tmp_path: Path) -> None:
    place = Hospital(tmp_path).write()
    result = RUN.invoke(app, ["init", "chest", str(place.release)], input="")
    assert isinstance(result.exception, UsageError)
    assert "stopped at table.path; nothing was written" in str(result.exception)
    (place.release / "cases.csv").unlink()
    result = RUN.invoke(app, ["init", "chest", str(place.release)], input=typed())
    assert "release has no table (.csv, .jsonl, .parquet)" in str(result.exception)
    assert not Path("data").exists()


@pytest.mark.parametrize("name", ["../ward", "Ward 7", "", "a" * 64])
def test_a_name_that_is_none(name: str, tmp_path: Path) -> None:
    place = Hospital(tmp_path).write()
    result = RUN.invoke(app, ["init", name, str(place.release)], input=typed())
    assert isinstance(result.exception, UsageError) and "is no name" in str(result.exception)


def test_volumes_are_asked_for_slices(tmp_path: Path) -> None:
    table = [row | {"image": "0.nii.gz", "slice": n} for n, row in enumerate(rows())]
    place = Hospital(tmp_path, table, images={"0.nii.gz": b"not read here"}).write()
    answers = typed() + "slice\nslice from 0\naxial\n"
    result = RUN.invoke(app, ["init", "head", str(place.release)], input=answers)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "as in `slice from 0` or `page from 1`" in result.output
    view = read_mapping(Path("data/sets/head.mapping.yaml")).view
    assert view.frame is not None and (view.frame.column, view.frame.first) == ("slice", 0)
    assert view.axis is not None and view.axis.value == "axial"


def test_a_table_that_is_only_half_said_is_asked_for(tmp_path: Path) -> None:
    place = Hospital(tmp_path).write()
    answers = typed().split("\n", 1)[1]
    given = said("table.path=cases.csv")
    result = RUN.invoke(app, ["init", "chest", str(place.release), *given], input="\n" + answers)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "What kind of table is it: csv, jsonl, parquet? [csv]" in result.output
    wrong = said("table.path=cases.csv", "table.format=xls")
    result = RUN.invoke(app, ["init", "c", str(place.release), *wrong], input=answers)
    assert isinstance(result.exception, UsageError) and "table: format: " in str(result.exception)


@pytest.mark.parametrize("text", ["question", "=q", "question=[", "table=1"])
def test_settings_that_are_none(text: str, tmp_path: Path) -> None:
    place = Hospital(tmp_path).write()
    result = RUN.invoke(app, ["init", "chest", str(place.release), "--set", text, "--yes"])
    assert isinstance(result.exception, UsageError)


def test_help_teaches_by_example() -> None:
    result = RUN.invoke(app, ["init", "--help"])
    assert result.exit_code == 0 and "mmedagent data init chest-2026" in result.output
