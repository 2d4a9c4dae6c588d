"""A small hospital release, written by us: images, a table, a mapping file; to break in places."""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from mmedagent.cases.privacy.pseudonym import load_key
from mmedagent.cases.sources.contract import SourceCase
from mmedagent.cases.sources.own.adapter import OwnCases
from mmedagent.cases.sources.release import open_release
from mmedagent.errors import BadDataError, ExitCode
from mmedagent.recipes.sets import LimitsRecipe, SourceRecipe
from tests.mmedagent.cases.examples import noise

PATIENT = "Quarkstone, Zebulon"
NUMBER = "MRN-88431977"
"""Planted in every table: neither may be in any message."""

COLUMNS = ("patient", "image", "question", "answer", "a", "b", "type", "modality", "split")


def rows(count: int = 6) -> list[dict[str, Any]]:
    """Valid rows of a closed question each; every second row of another patient."""
    return [
        {
            "patient": f"{PATIENT} {NUMBER} {number // 2}",
            "image": f"{number}.png",
            "question": f"Which finding does image {number} show?",
            "answer": "effusion" if number % 2 else "no effusion",
            "a": "effusion",
            "b": "no effusion",
            "type": "Finding",
            "modality": "CR",
            "split": ("tr", "va", "te")[number // 2 % 3],
        }
        for number in range(count)
    ]


def mapping(**changes: Any) -> dict[str, Any]:
    """The mapping of such a table; a change to None takes a field out."""
    fields: dict[str, Any] = {
        "table": {"path": "cases.csv", "format": "csv", "encoding": "utf-8", "delimiter": ","},
        "images": {"folder": "images", "columns": ["image"]},
        "question": "question",
        "answer": {"column": "answer", "given_as": "text"},
        "options": {"columns": ["a", "b"]},
        "answer_type": {"value": "closed"},
        "question_type": {"column": "type"},
        "modality": {"column": "modality"},
        "language": {"value": "en"},
        "subject": "patient",
        "split": {"column": "split", "values": {"tr": "train", "va": "validation", "te": "test"}},
    } | changes
    return {name: value for name, value in fields.items() if value is not None}


def csv_bytes(
    table: Sequence[dict[str, Any]], encoding: str = "utf-8", delimiter: str = ","
) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, list(table[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(table)
    return buffer.getvalue().encode(encoding)


def jsonl_bytes(table: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table).encode()


def parquet_bytes(table: Sequence[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(table)), buffer)
    return buffer.getvalue()


@dataclass
class Hospital:
    """A release on disk, its mapping file and its key."""

    home: Path
    table: list[dict[str, Any]] = field(default_factory=rows)
    mapped: dict[str, Any] = field(default_factory=mapping)
    raw: bytes | None = None
    """The table's bytes, where they are not `table` as a CSV."""
    images: dict[str, bytes] = field(default_factory=dict)
    """Beside the ones that the first six rows name."""
    limits: LimitsRecipe = LimitsRecipe()

    def write(self) -> "Hospital":
        folder = self.release / "images"
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(6):
            (folder / f"{number}.png").write_bytes(noise(number))
        for name, data in self.images.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        raw = csv_bytes(self.table) if self.raw is None else self.raw
        (self.release / self.mapped["table"]["path"]).write_bytes(raw)
        self.mapping_file.write_text(yaml.safe_dump(self.mapped, allow_unicode=True), "utf-8")
        load_key(self.key, create=True)
        return self

    @property
    def release(self) -> Path:
        return self.home / "release"

    @property
    def mapping_file(self) -> Path:
        return self.home / "own.mapping.yaml"

    @property
    def key(self) -> Path:
        return self.home / "privacy.key"

    @property
    def recipe(self) -> SourceRecipe:
        return SourceRecipe(name="own", mapping=str(self.mapping_file))

    def cases(self) -> list[SourceCase]:
        self.write()
        with open_release(self.release, self.limits) as release:
            return list(OwnCases(self.key).cases(release, self.recipe, Counter()))

    def refusal(self) -> str:
        """The message that refuses the release with exit code 13; it names no patient."""
        with pytest.raises(BadDataError) as caught:
            self.cases()
        assert caught.value.exit_code == ExitCode.BAD_DATA == 13
        message = str(caught.value)
        for secret in (PATIENT, NUMBER, "Quarkstone", "Zebulon", "88431977"):
            assert secret not in message
        return message


Change = Callable[[list[dict[str, Any]]], None]


def broken(home: Path, change: Change, **mapped: Any) -> str:
    """What is said of a release whose rows `change` has changed."""
    table = rows()
    change(table)
    return Hospital(home, table, mapping(**mapped)).refusal()
