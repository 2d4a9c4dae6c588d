"""A hospital's release full of planted identifiers goes through the whole ingest: none leaves."""

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from mmedagent.cases.add import add_cases
from mmedagent.cases.privacy.pseudonym import load_key
from mmedagent.cases.privacy.spans import plain
from mmedagent.cases.store import read_cases
from mmedagent.digests import digest_folder
from mmedagent.errors import BadDataError
from mmedagent.recipes.sets import DataSetRecipe, SourceRecipe
from tests.mmedagent.cases.privacy.dicoms import SECRETS, planted, written
from tests.mmedagent.cases.privacy.pictures import picture, still_there, with_text
from tests.mmedagent.cases.privacy.planted import load, pieces, planted_texts
from tests.mmedagent.cases.sources.own.hospital import csv_bytes, mapping

CORPUS = list(planted_texts())
BURNED_IN: list[str] = load("corpus")["burned_in"]
SUBJECT = "Abernathy-Kline, Gwendolyn HX-00482913"


def _release(root: Path) -> dict[str, Any]:
    """Write the release; every identifier stands in a question, an answer, an option or a name."""
    images = root / "release" / "images"
    images.mkdir(parents=True)
    drawn: dict[str, Any] = {}
    for number, text in enumerate(BURNED_IN):
        image, letters = with_text(picture(224, number), text, 14, (0.1, 0.1 + 0.04 * number))
        name = f"{SUBJECT} {number}.png"
        image.save(images / name)
        drawn[name] = letters
    written(planted(), images / f"{SUBJECT}.dcm")
    names = [*drawn, f"{SUBJECT}.dcm"]
    table = []
    for number, (_, text, _) in enumerate(CORPUS):
        place = ("question", "answer", "a")[number % 3]
        row = {
            "patient": f"{SUBJECT} {number // 4}",
            "image": names[number % len(names)],
            "question": f"Which finding does picture {number} show?",
            "answer": "effusion",
            "a": "effusion",
            "b": "no effusion",
            "type": "Finding",
            "modality": "CR",
            "split": ("tr", "va", "te")[number // 4 % 3],
        }
        row[place] = text
        if place == "answer":
            row["a"] = text
        elif place == "a":
            row["b"] = f"no effusion; {text}"
            row["answer"] = text
        table.append(row)
    (root / "release" / "cases.csv").write_bytes(csv_bytes(table))
    (root / "own.mapping.yaml").write_text(yaml.safe_dump(mapping(), allow_unicode=True))
    return drawn


def _recipe(root: Path, **changes: Any) -> DataSetRecipe:
    fields: dict[str, Any] = {
        "name": "own-cases",
        "source": SourceRecipe(name="own", mapping="own.mapping.yaml"),
        "release": "release",
        "sha256": digest_folder(root / "release"),
    }
    return DataSetRecipe.model_validate(fields | changes)


@cache
def _secrets() -> tuple[str, ...]:
    long = [secret for _, _, secret in CORPUS if len(secret) > 5]
    names = [p for kind, _, secret in CORPUS if kind == "name" for p in pieces(secret)]
    rare = [piece for piece in names if len(piece) > 6]
    return (*long, *rare, *BURNED_IN, *SECRETS, SUBJECT, "HX-00482913", "Gwendolyn")


@cache
def _plain_secrets() -> tuple[str, ...]:
    return tuple(dict.fromkeys(plain(secret).text.lower() for secret in _secrets()))


def _found(text: str) -> list[str]:
    form = plain(text).text.lower()
    return [secret for secret in _plain_secrets() if secret in form]


@pytest.fixture
def hospital(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, Any]]:
    monkeypatch.chdir(tmp_path)
    load_key(Path(".cache/privacy.key"), create=True)
    return tmp_path, _release(tmp_path)


@pytest.mark.slow
def test_no_identifier_leaves_the_ingest(
    hospital: tuple[Path, dict[str, Any]], capfd: Any, caplog: Any, recwarn: Any
) -> None:
    root, drawn = hospital
    kept: set[Path] = set()
    told: list[str] = []

    def tell(*what: Any) -> None:
        told.append(repr(what))
        kept.update((root / "work").rglob("*"))

    report = add_cases(_recipe(root), root, root / "version", root / "work", tell=tell, jobs=1)
    cases = read_cases(root / "version")
    assert len(cases) == len(CORPUS)
    texts = [case.model_dump_json(exclude={"images"}) for case in cases]
    assert _found("\n".join(texts)) == []
    assert _found(json.dumps(report, ensure_ascii=False)) == []
    names = [str(path.relative_to(root)) for path in [*(root / "version").rglob("*"), *kept]]
    assert _found("\n".join(names)) == []
    shown = "".join(capfd.readouterr()) + caplog.text + "".join(str(w.message) for w in recwarn)
    assert _found(shown + "".join(told)) == []
    for path in [path for path in (root / "version").rglob("*") if path.is_file()]:
        content = path.read_bytes()
        assert [s for s in _secrets() if len(s) > 6 and s.encode() in content] == [], path.name
    _check_images(cases, drawn)
    removed = report["privacy"]["removed"]
    assert sum(removed["question"].values()) >= len(CORPUS) // 3
    assert removed["image"]["text region"] >= len(BURNED_IN)
    assert removed["dicom"]["group 0010"] > 10


def _check_images(cases: Any, drawn: dict[str, Any]) -> None:
    unique = {image: Image.open(io.BytesIO(image)) for case in cases for image in case.images}
    assert len(unique) == len(BURNED_IN) + 1
    for letters in drawn.values():
        shares = [
            still_there(image, letters) for image in unique.values() if image.size == (224, 224)
        ]
        assert min(shares) < 0.02
    assert all(np.asarray(image).size and not image.info for image in unique.values())


@pytest.mark.slow
def test_errors_name_no_one(hospital: tuple[Path, dict[str, Any]], capfd: Any) -> None:
    root, _ = hospital
    images = root / "release" / "images"
    for path in sorted(images.iterdir())[:5]:
        path.write_bytes(path.read_bytes()[:300])
    (images / f"{SUBJECT}.dcm").write_bytes(b"GWENDOLYN" * 40)
    with pytest.raises(BadDataError) as error:
        add_cases(_recipe(root), root, root / "version", root / "work", jobs=1)
    assert _found(str(error.value)) == []
    assert "row" in str(error.value)
    assert _found("".join(capfd.readouterr())) == []


@pytest.mark.slow
def test_refused_cases_leave_counts_and_nothing_else(
    hospital: tuple[Path, dict[str, Any]],
) -> None:
    root, _ = hospital
    table = root / "release" / "cases.csv"
    clean = b"Nobody,%s,Which finding is shown?,effusion,effusion,no effusion,Finding,CR,tr\r\n"
    Image.fromarray(np.full((64, 64), 90, np.uint8)).save(root / "release" / "images" / "x.png")
    table.write_bytes(table.read_bytes() + clean % b"x.png")
    privacy = {"question_text": "refuse", "burned_in_text": "refuse"}
    report = add_cases(
        _recipe(root, privacy=privacy), root, root / "version", root / "work", jobs=1
    )
    assert report["cases"] == 1 and _found(json.dumps(report, ensure_ascii=False)) == []
    assert sum(report["privacy"]["refused"].values()) == len(CORPUS)
