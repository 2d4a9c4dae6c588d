"""Bad input of every kind, through the command that makes a data version: message, exit code 13.

`mmedagent data add` runs the command of the stage (`python -m mmedagent.cases.add NAME`) by DVC;
one case goes the whole way.
"""

import gzip
import io
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
import yaml
from PIL import Image

from mmedagent.cases.add import main
from mmedagent.cases.privacy.pseudonym import DEFAULT_KEY
from mmedagent.cases.sets.arrival import release_digest
from mmedagent.recipes.sets import DataSetRecipe, SourceRecipe
from tests.mmedagent.cases.examples import bomb, noise
from tests.mmedagent.cases.imaging.files import declared, dicom, encoded, real
from tests.mmedagent.cases.sets.repository import make_repository
from tests.mmedagent.cases.sources.own.hospital import (
    NUMBER,
    PATIENT,
    Hospital,
    csv_bytes,
    mapping,
    rows,
)

Fill = Callable[[Hospital], None]


def image(data: bytes, name: str = "3.png") -> Fill:
    """The fourth image is `data`; row 5 of the table names it."""

    def fill(place: Hospital) -> None:
        place.images[name] = data
        place.table[3]["image"] = name

    return fill


def cell(column: str, value: Any) -> Fill:
    def fill(place: Hospital) -> None:
        place.table[3][column] = value

    return fill


def table(raw: bytes) -> Fill:
    def fill(place: Hospital) -> None:
        place.raw = raw

    return fill


def payload() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("run.sh", "echo")
    return noise(1) + buffer.getvalue()


def animation() -> bytes:
    pictures = [Image.new("L", (32, 32), shade) for shade in (0, 99)]
    return encoded(pictures[0], "GIF", save_all=True, append_images=pictures[1:])


def nameless() -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(dicom(PatientName=PATIENT, PatientID=NUMBER)))
    dataset.PixelData = dataset.PixelData[:50]
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


ROW = "cases.csv row 5, column "
LITTLE, MPEG4 = "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.102"
VOLUME = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)).to_bytes()
BAD: dict[str, tuple[Fill, str]] = {
    "image bomb": (image(bomb(60_000, 60_000)), ROW + "image: the header claims more pixels"),
    "gzip bomb": (
        image(gzip.compress(VOLUME + bytes(30_000_000)), "3.nii.gz"),
        ROW + "image: gzip data that unpack to more than the 480 bytes of the header",
    ),
    "truncated image": (image(noise(3)[:300]), ROW + "image: the PNG is cut off; transfer it"),
    "polyglot": (image(payload()), ROW + "image: polyglot file, PNG that also holds a zip archive"),
    "animation": (image(animation()), ROW + "image: an animated GIF; save the one picture"),
    "another kind": (image(b"%PDF-1.7"), ROW + "image: not an image of a known kind but a PDF"),
    "truncated DICOM": (
        image(nameless(), "3.dcm"),
        ROW + "image: truncated pixel data: 50 of 128 bytes; transfer it again",
    ),
    "DICOM cut in a header": (
        image(nameless()[:300], "3.dcm"),
        ROW + "image: cut off after the file meta information; transfer it again",
    ),
    "wrong transfer syntax": (
        image(declared(dicom(), LITTLE), "3.dcm"),
        ROW + "image: wrong transfer syntax: Implicit VR Little Endian is declared",
    ),
    "unreadable compression": (
        image(declared(real("MR_small_jp2klossless.dcm"), MPEG4), "3.dcm"),
        ROW + "image: no decoder for the compression MPEG-4",
    ),
    "DICOM without pixels": (
        image(real("test-SR.dcm"), "3.dcm"),
        ROW + "image: DICOM without pixels (Comprehensive SR Storage)",
    ),
    "frame not named": (
        image(real("rtdose.dcm"), "3.dcm"),
        ROW + "image: 15 frames and none is named; name one with `frame` in the mapping",
    ),
    "path traversal": (cell("image", "../../etc/passwd"), ROW + "image: a path that leaves the"),
    "absolute path": (cell("image", "/etc/passwd"), ROW + "image: an absolute path"),
    "missing image": (cell("image", f"{PATIENT}.png"), ROW + "image: names no file of the release"),
    "formula": (cell("question", "=HYPERLINK(1)"), ROW + "question: begins with '=', which a"),
    "long question": (cell("question", "x" * 10_000), ROW + "question: 10000 characters, 4000 are"),
    "reading direction": (
        cell("question", f"Is \u202e{PATIENT}?"),
        ROW + "question: U+202E, which",
    ),
    "NUL": (cell("question", "a\0b"), ROW + "question: control character U+0000; take it out"),
    "list as a string": (
        cell("a", "['x', 'y']"),
        ROW + "a: a list written as text; map the column",
    ),
    "no option": (cell("answer", PATIENT), ROW + "answer: matches none of the 2 options"),
    "two options": (cell("a", "no effusion."), ROW + "b: options 1 and 2 are the same; mend one"),
    "no subject": (cell("patient", ""), ROW + "patient: empty; fill it in, or take the row out"),
    "encoding": (
        table(csv_bytes([row | {"question": "Größe?"} for row in rows()], "cp1252")),
        "cases.csv row 2: not utf-8, as the mapping says; it looks like cp125",
    ),
    "delimiter": (table(csv_bytes(rows(), delimiter=";")), 'put `delimiter: ";"` under `table`'),
    "duplicate columns": (
        table(csv_bytes([row | {"x": 1} for row in rows()]).replace(b",x", b",image", 1)),
        "cases.csv: columns 2 and 10 have the same name; rename one",
    ),
    "missing column": (
        table(csv_bytes(rows()).replace(b"question", b"questions", 1)),
        "cases.csv: no column 'question' (is it 'questions'?) among its 9",
    ),
    "ragged row": (
        table(csv_bytes(rows()).replace(b",CR,te", b",CR,te,more", 1)),
        "cases.csv row 6: 10 cells, the header has 9",
    ),
}


def stage(place: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    """Declare the release in its own folder as the data set `ward`, and be there."""
    home = place.write().home
    monkeypatch.chdir(home)
    DEFAULT_KEY.parent.mkdir(exist_ok=True)
    place.key.rename(DEFAULT_KEY)
    recipe = DataSetRecipe(
        name="ward",
        source=SourceRecipe(name="own", mapping=place.mapping_file.name),
        release="release",
        sha256=release_digest(place.release),
        privacy={"burned_in_text": "keep"},
    )
    Path("params.yaml").write_text(
        yaml.safe_dump({"data_sets": {"ward": recipe.model_dump(mode="json")}})
    )
    monkeypatch.setattr(sys, "argv", ["add", "ward", "--jobs", "1"])


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_ends_in_its_message_and_exit_code_13(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fill, said = BAD[kind]
    place = Hospital(tmp_path)
    fill(place)
    stage(place, monkeypatch)
    assert main() == 13
    out, err = capfd.readouterr()
    assert said in err
    for secret in (PATIENT, NUMBER, "Quarkstone", "88431977"):
        assert secret not in out + err
    assert not Path("data/ward").exists()


def test_the_same_release_unbroken_becomes_a_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    place = Hospital(tmp_path)
    stage(place, monkeypatch)
    assert main() == 0, capfd.readouterr().err
    assert "6 of 6 questions taken" in capfd.readouterr().out
    for path in Path("data/ward").rglob("*"):
        if path.is_file():
            assert (
                b"Quarkstone" not in path.read_bytes() and NUMBER.encode() not in path.read_bytes()
            )


def test_a_symbolic_link_in_the_folder_ends_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    place = Hospital(tmp_path)
    stage(place, monkeypatch)
    link = place.release / "images" / "5.png"
    data = link.read_bytes()
    (tmp_path / "outside.png").write_bytes(data)
    link.unlink()
    os.symlink(tmp_path / "outside.png", link)
    assert main() == 13
    assert "symbolic link" in capfd.readouterr().err


@pytest.mark.slow
def test_the_whole_way_through_dvc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from typer.testing import CliRunner

    from mmedagent.cli.data import app
    from mmedagent.errors import BadDataError

    root = make_repository(tmp_path / "root")
    place = Hospital(tmp_path / "hospital")
    cell("answer", PATIENT)(place)
    place.write()
    (root / "data" / "sets").mkdir(parents=True)
    target = root / "data" / "sets" / "ward.mapping.yaml"
    target.write_text(yaml.safe_dump(mapping()), "utf-8")
    monkeypatch.chdir(root)
    DEFAULT_KEY.parent.mkdir(exist_ok=True)
    place.key.rename(DEFAULT_KEY)
    words = ["add", "ward", str(place.release), "--source", "own", "--mapping", str(target)]
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, BadDataError), (result.output, result.exception)
    assert result.exception.exit_code == 13
    assert ROW + "answer: matches none of the 2 options" in str(result.exception)
    assert PATIENT not in str(result.exception) + result.output
    assert not (root / "data" / "ward").exists()
    place.table = rows()
    place.write()
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, (result.output, result.exception)
    assert (root / "data" / "ward" / "manifest.json").is_file()
