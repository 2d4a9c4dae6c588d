"""Columns come out in one form whichever schema, in the version's order, without images' bytes."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mmedagent.cases.case import Case
from mmedagent.cases.sets import columns
from mmedagent.cases.sets.census import census_of, count_images
from mmedagent.cases.sets.columns import COLUMNS, SEPARATOR, iter_columns
from mmedagent.cases.store import write_cases
from mmedagent.digests import digest_bytes
from mmedagent.errors import BadDataError
from tests.mmedagent.cases.examples import data_set, example, noise


def in_one_form(case: Case) -> dict[str, str]:
    fields = {name: getattr(case, name) for name in COLUMNS if name not in ("options", "images")}
    fields["options"] = SEPARATOR.join(case.options)
    fields["images"] = SEPARATOR.join(digest_bytes(image) for image in case.images)
    pairs = [f"{name}={value}" for name, value in sorted(case.attributes.items())]
    return fields | {"attributes": SEPARATOR.join(pairs)}


def read(folder: Path) -> list[dict[str, str]]:
    return [row for table in iter_columns(folder) for row in table.to_pylist()]


def kinds() -> list[Case]:
    """Several images, none of the options, attributes, a JPEG, an accent."""
    return [
        *data_set(1),
        example(7, images=(noise(1), noise(2), noise(1)), attributes={"sex": "f", "age": "61"}),
        example(8, options=(), answer="Ödem", answer_type="open", question="¿Qué es?"),
        example(9, options=(), answer="yes", images=(noise(3, format="JPEG"),)),
    ]


def test_every_field_comes_out_as_the_case_has_it(tmp_path: Path) -> None:
    cases = kinds()
    write_cases(tmp_path / "two", "set", cases)
    expected = {case.case_id: in_one_form(case) for case in cases}
    assert {row["case_id"]: row for row in read(tmp_path / "two")} == expected


def test_both_schemas_give_the_same_rows(tmp_path: Path) -> None:
    for version in (1, 2):
        write_cases(tmp_path / str(version), "set", data_set(), version)  # type: ignore[arg-type]
    assert read(tmp_path / "1") == read(tmp_path / "2")


def test_batches_do_not_change_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cases(tmp_path / "v", "set", kinds())
    whole = read(tmp_path / "v")
    monkeypatch.setattr(columns, "ROWS", 2)
    seen: list[tuple[int, int]] = []
    parts = [
        row
        for table in iter_columns(tmp_path / "v", done=lambda *read: seen.append(read))
        for row in table.to_pylist()
    ]
    assert parts == whole
    assert seen[-1] == (len(whole), len(whole)) and len(seen) >= len(whole) / 2


def test_no_image_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cases(tmp_path / "v", "set", kinds())
    asked: list[str] = []
    original = pq.ParquetFile.iter_batches

    def noted(self: pq.ParquetFile, *arguments: object, **options: object) -> object:
        asked.extend(options["columns"])  # type: ignore[arg-type]
        return original(self, *arguments, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", noted)
    read(tmp_path / "v")
    assert asked and not [name for name in asked if "bytes" in name or name in ("image", "images")]


def test_a_damaged_version_is_refused(tmp_path: Path) -> None:
    write_cases(tmp_path / "v", "set", data_set(1))
    (tmp_path / "v/train/part-00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadDataError, match="sha256 differs"):
        read(tmp_path / "v")


def test_the_census_counts_as_one_would_by_hand(tmp_path: Path) -> None:
    write_cases(tmp_path / "v", "set", kinds())
    census = census_of(tmp_path / "v")
    cases = kinds()
    assert census.cases == len(cases)
    assert census.images == len({image for case in cases for image in case.images})
    assert census.images == count_images(tmp_path / "v")
    for (pool, specialty), cell in census.cells.items():
        here = [case for case in cases if (case.pool, case.specialty) == (pool, specialty)]
        assert cell.questions == len(here)
        assert cell.subjects == len({case.subject for case in here})
        assert cell.images == len({image for case in here for image in case.images})
    assert census.counts["answers"] == {"closed": 7, "open": 1}
    assert sum(cell.questions for cell in census.cells.values()) == len(cases)
