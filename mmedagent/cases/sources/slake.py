"""SLAKE: 642 radiology images with questions in English and Chinese (Liu et al. 2021)."""

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from mmedagent.cases.sources.contract import SourceCase, Split
from mmedagent.cases.sources.hub import ANOTHER_LANGUAGE, answer_type_of, empty, hub_cases
from mmedagent.cases.sources.json_rows import json_rows
from mmedagent.cases.sources.layout import (
    Keys,
    Pictures,
    base_of,
    find,
    parquet_splits,
    text_of,
    unknown,
)
from mmedagent.cases.sources.release import Release
from mmedagent.recipes.sets import SourceRecipe

_TABLES: dict[Split, tuple[str, ...]] = {
    "train": ("train.json",),
    "validation": ("validation.json", "validate.json"),
    "test": ("test.json",),
}
_ALSO = ("qid", "q_lang", "img_name", "content_type", "modality", "location", "answer_type")


class Slake:
    """Reads the original archive (also as the hub has it, with `imgs.zip`), and Parquet."""

    name = "slake"
    title = "SLAKE"
    licence = "CC BY 4.0"
    homepage = "https://www.med-vqa.com/slake/"

    def cases(
        self, release: Release, recipe: SourceRecipe, skipped: Counter[str]
    ) -> Iterator[SourceCase]:
        """Yield the cases of the recipe's languages; see `contract.Source`."""
        tables = {split: find(release, *names) for split, names in _TABLES.items()}
        if tables["train"] is not None or tables["test"] is not None:
            for split, table in tables.items():
                if table is not None:
                    yield from _original(release, table, split, recipe, skipped)
        elif parquet_splits(release):

            def labels(cells: dict[str, Any], row: str) -> dict[str, Any]:
                return _labels(cells, row, recipe)

            yield from hub_cases(release, "radiology", skipped, labels, _ALSO)
        else:
            raise unknown(release, self.title, ["train.json", "train-*.parquet"])


def _original(
    release: Release, table: str, split: Split, recipe: SourceRecipe, skipped: Counter[str]
) -> Iterator[SourceCase]:
    base = base_of(table, PurePosixPath(table).name)
    pictures = Pictures(release, base, ("imgs",), "imgs.zip")
    keys = Keys()
    for row, cells in json_rows(release, table):
        question, answer = text_of(cells, "question", row), text_of(cells, "answer", row)
        said = _labels(cells, row, recipe)
        if reason := said.pop("skip", None) or empty(question, answer):
            skipped[reason] += 1
            continue
        fields: dict[str, Any] = {
            "row": row,
            "key": keys.of(f"{split}-{text_of(cells, 'qid', row)}"),
            "images": (pictures[text_of(cells, "img_name", row)],),
            "question": question,
            "answer": answer,
            "answer_type": answer_type_of(question, answer),
            "split": split,
        }
        yield SourceCase(**(fields | said))


def _labels(cells: dict[str, Any], row: str, recipe: SourceRecipe) -> dict[str, Any]:
    """Return what a row says of itself; the original has all of it, a conversion may not."""
    there = {column: text_of(cells, column, row) for column in _ALSO if column in cells}
    language = there.get("q_lang", "en").lower()
    said: dict[str, Any] = {"attributes": {"language": language}}
    if language not in recipe.languages:
        said["skip"] = ANOTHER_LANGUAGE
    if there.get("answer_type", "").upper() in ("OPEN", "CLOSED"):
        said["answer_type"] = there["answer_type"].lower()
    if there.get("content_type"):
        said["question_type"] = there["content_type"].lower()
    if there.get("modality"):
        said["modality"] = there["modality"]
    if there.get("location"):
        said["attributes"]["body_region"] = there["location"].lower()
    if there.get("img_name"):
        said["subject"] = there["img_name"].split("/")[0]
    return said


SOURCE = Slake()
