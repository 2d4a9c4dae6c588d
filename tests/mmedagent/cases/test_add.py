"""From a release to a data version: the same bytes always, whatever stops it in between."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mmedagent.cases.add import add_cases
from mmedagent.cases.store import read_cases, read_manifest
from mmedagent.digests import digest_file, digest_folder
from mmedagent.errors import BadDataError, ExitCode, UsageError
from mmedagent.recipes.sets import DataSetRecipe, SourceRecipe
from tests.mmedagent.cases.sources.releases import (
    held,
    omni_med_vqa,
    omni_row,
    picture,
    write_files,
    write_parquet,
)

ROOT = Path(__file__).parents[3]


def release(root: Path, count: int = 30, **changes: Any) -> DataSetRecipe:
    """A PathVQA conversion of `count` train questions, and three of each other split."""
    for split, number in (("train", count), ("validation", 3), ("test", 3)):
        rows = [
            {
                "image": held(1000 * len(split) + n // 2),
                "question": f"is there necrosis of {n} mm?" if n % 2 else "what is seen?",
                "answer": "yes" if n % 2 else f"sign {n}",
            }
            for n in range(number)
        ]
        write_parquet(root / "release" / f"{split}-00000.parquet", rows)
    return declared(root, "path-vqa", **changes)


def declared(root: Path, source: str, **changes: Any) -> DataSetRecipe:
    fields: dict[str, Any] = {
        "name": "some-set",
        "source": SourceRecipe(name=source),
        "release": "release",
        "sha256": digest_folder(root / "release"),
        "privacy": {"burned_in_text": "keep"},
    }
    return DataSetRecipe.model_validate(fields | changes)


def add(recipe: DataSetRecipe, root: Path, out: str = "version", **options: Any) -> dict[str, Any]:
    return add_cases(recipe, root, root / out, root / "work", **options)


def test_what_was_done_is_said_and_travels(tmp_path: Path) -> None:
    recipe = release(tmp_path)
    report = add(recipe, tmp_path)
    assert report["cases"] == report["questions"] == 36
    assert report["splits"] == {"test": 3, "train": 30, "validation": 3}
    assert json.loads((tmp_path / "version" / "ingest.json").read_bytes()) == report
    cases = read_cases(tmp_path / "version")
    assert len({case.case_id for case in cases}) == 36
    assert {case.pool for case in cases} >= {"train", "validation", "test"}
    assert {case.answer_type for case in cases} == {"closed", "open"}
    assert all(case.options == ("yes", "no") for case in cases if case.answer_type == "closed")
    assert all(case.specialty == "Pathologist" for case in cases)
    assert not (tmp_path / "work").exists() or not list((tmp_path / "work").iterdir())


@pytest.mark.slow
def test_one_process_or_three_write_the_same_bytes(tmp_path: Path) -> None:
    recipe = release(tmp_path, 900)
    digests = set()
    for jobs in (1, 3):
        add(recipe, tmp_path, f"version-{jobs}", jobs=jobs)
        digests.add(digest_folder(tmp_path / f"version-{jobs}"))
    assert len(digests) == 1


def test_a_repeated_ingest_writes_the_same_bytes(tmp_path: Path) -> None:
    recipe = release(tmp_path)
    add(recipe, tmp_path, "one")
    add(recipe, tmp_path, "two")
    assert digest_folder(tmp_path / "one") == digest_folder(tmp_path / "two")


_PROGRAM = """
import sys
from pathlib import Path
from mmedagent.cases.add import add_cases
from mmedagent.errors import MMedAgentError
from mmedagent.recipes.sets import DataSetRecipe
if __name__ == "__main__":
    root = Path(sys.argv[1])
    recipe = DataSetRecipe.model_validate_json((root / "recipe.json").read_text())
    try:
        add_cases(recipe, root, root / "version", root / "work", jobs=2)
    except MMedAgentError as error:
        print(error, file=sys.stderr)
        sys.exit(int(error.exit_code))
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_stopped_ingest_goes_on_to_the_same_bytes(tmp_path: Path, number: signal.Signals) -> None:
    recipe = release(tmp_path, 3000)
    (tmp_path / "recipe.json").write_text(recipe.model_dump_json())
    (tmp_path / "program.py").write_text(_PROGRAM)
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while len(whole := sorted(tmp_path.glob("work/*/chunk-*.json"))) < 2:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate()
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == ExitCode.INTERRUPTED == 75
        assert "the same command goes on" in said
    assert not (tmp_path / "version").exists()
    times = {path: path.stat().st_mtime_ns for path in whole}
    seen: dict[Path, int] = {}

    def note(phase: str, done: int, total: int | None) -> None:
        seen.update({path: path.stat().st_mtime_ns for path in times if path.exists()})

    add(recipe, tmp_path, tell=note)
    assert seen == times  # what was whole was not made again
    add(recipe, tmp_path, "other", jobs=1)
    assert digest_folder(tmp_path / "version") == digest_folder(tmp_path / "other")


def test_another_release_than_the_declared_is_refused(tmp_path: Path) -> None:
    recipe = release(tmp_path)
    add(recipe, tmp_path)
    before = digest_folder(tmp_path / "version")
    path = tmp_path / "release" / "test-00000.parquet"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(BadDataError) as raised:
        add(recipe, tmp_path)
    assert recipe.sha256 in str(raised.value)
    assert digest_folder(tmp_path / "release") in str(raised.value)
    assert raised.value.exit_code == 13
    assert digest_folder(tmp_path / "version") == before
    with pytest.raises(UsageError, match="is missing"):
        add(recipe.model_copy(update={"release": "elsewhere"}), tmp_path)


def _with_broken_images(root: Path, broken: int) -> DataSetRecipe:
    rows = [{"image": held(n), "question": f"is it {n}?", "answer": "no"} for n in range(40)]
    for row in rows[:broken]:
        row["image"] = {"bytes": picture(3)[:200], "path": None}
    write_parquet(root / "release" / "train-00000.parquet", rows)
    return declared(root, "path-vqa")


def test_questions_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    recipe = _with_broken_images(tmp_path, 25)
    with pytest.raises(BadDataError) as raised:
        add(recipe, tmp_path)
    message = str(raised.value)
    assert "25 of the first 40 questions cannot be taken; 0 are allowed" in message
    assert "train-00000.parquet[0]" in message and "and 5 more" in message
    assert not (tmp_path / "version").exists()


def test_a_recipe_may_leave_a_few_out_by_name(tmp_path: Path) -> None:
    recipe = _with_broken_images(tmp_path, 2)
    limits = recipe.limits.model_copy(update={"max_bad_cases": 2})
    report = add(recipe.model_copy(update={"limits": limits}), tmp_path)
    assert report["cases"] == 38
    assert len(report["left_out"]["unreadable"]) == 2
    assert "train-00000.parquet[1]" in report["left_out"]["unreadable"][1]


def test_a_modality_without_a_specialty_is_listed(tmp_path: Path) -> None:
    omni_med_vqa(tmp_path / "release")
    table = [omni_row(n, modality_type="Phrenology") for n in range(3)]
    files: dict[str, Any] = {"QA_information/Open-access/odd.json": table}
    for row in table:
        files[str(row["image_path"])] = picture(9)
    write_files(tmp_path / "release", files)
    report = add(declared(tmp_path, "omni-med-vqa"), tmp_path)
    assert report["left_out"]["unmapped_modalities"]["Phrenology"] >= 1
    assert "Phrenology" not in {case.modality for case in read_cases(tmp_path / "version")}


def test_personal_data_is_masked_or_its_case_left_out(tmp_path: Path) -> None:
    asked = "Patient John Smith, born 03/04/1956, MRN 8842391: is there a mass?"
    rows = [{"image": held(n), "question": "is there a mass?", "answer": "no"} for n in range(9)]
    rows[4]["question"] = asked
    write_parquet(tmp_path / "release" / "train-00000.parquet", rows)
    report = add(declared(tmp_path, "path-vqa"), tmp_path)
    [case] = [c for c in read_cases(tmp_path / "version") if c.question != "is there a mass?"]
    assert not {"John", "Smith", "1956", "8842391"} & set(case.question.replace(",", " ").split())
    assert sum(report["privacy"]["removed"]["question"].values()) >= 3
    refusing = {"burned_in_text": "keep", "question_text": "refuse"}
    report = add(declared(tmp_path, "path-vqa", privacy=refusing), tmp_path, "strict")
    assert report["left_out"]["for_privacy"] == 1 and report["cases"] == 8


def test_reviews_travel_with_the_version(tmp_path: Path) -> None:
    recipe = release(tmp_path)
    path = tmp_path / "data" / "reviews" / "some-set.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("reviews: []\n")
    add(recipe, tmp_path)
    extras = read_manifest(tmp_path / "version")["extras"]
    assert extras["reviewed.yaml"]["sha256"] == digest_file(path)


def test_a_question_that_is_a_report_is_refused(tmp_path: Path) -> None:
    rows = [{"image": held(1), "question": "what is seen? " * 800, "answer": "no"}]
    write_parquet(tmp_path / "release" / "train-00000.parquet", rows)
    with pytest.raises(BadDataError, match=r"train-00000\.parquet\[0\]: the question has 11199"):
        add(declared(tmp_path, "path-vqa"), tmp_path)
