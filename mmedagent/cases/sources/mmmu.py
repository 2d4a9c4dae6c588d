"""MMMU, Health & Medicine: college exam questions of five subjects with up to seven images."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from mmedagent.cases.modalities import specialty_of
from mmedagent.cases.multiple_choice import parse_options, resolve_answer
from mmedagent.cases.sources.contract import SourceCase, SourceImage, Split
from mmedagent.cases.sources.hub import empty
from mmedagent.cases.sources.layout import parquet_splits, text_of, unknown
from mmedagent.cases.sources.omni_med_vqa import AMBIGUOUS
from mmedagent.cases.sources.parquet_rows import image_in, parquet_rows
from mmedagent.cases.sources.release import Release
from mmedagent.errors import BadDataError
from mmedagent.recipes.sets import SourceRecipe

SUBJECTS = (
    "Basic_Medical_Science",
    "Clinical_Medicine",
    "Diagnostics_and_Laboratory_Medicine",
    "Pharmacy",
    "Public_Health",
)
_SPLITS: dict[str, Split] = {"dev": "validation", "validation": "test", "test": "test"}
"""The file's word -> split. Nothing of MMMU is for training: `dev` has five questions a subject to
look at, `validation` is what results are reported on, and `test` had its answers withheld for
years, so that it alone would make most releases empty."""
_IMAGES = tuple(f"image_{number}" for number in range(1, 8))
_WANTED = ("id", "question", "options", "answer", "question_type", "img_type", "image_1")
_ALSO = (*_IMAGES[1:], "subfield", "topic_difficulty")
WITHHELD = "answer withheld by the source"
ANOTHER_SUBJECT = "another subject than Health & Medicine"
NO_SUCH_IMAGE = "the question names an image that is not there"


class Mmmu:
    """Reads the Parquet files as released: a folder for each subject, a file for each split."""

    name = "mmmu"
    title = "MMMU, Health & Medicine"
    licence = "Apache-2.0 (the card; images keep their own rights)"
    homepage = "https://huggingface.co/datasets/MMMU/MMMU"

    def cases(
        self, release: Release, recipe: SourceRecipe, skipped: Counter[str]
    ) -> Iterator[SourceCase]:
        """Yield the cases; see `contract.Source`. The test split's withheld answers are counted."""
        files = parquet_splits(release, _SPLITS)
        ours = {
            name: s for name, s in files.items() if set(PurePosixPath(name).parts) & {*SUBJECTS}
        }
        if not files:
            raise unknown(release, self.title, [f"{SUBJECTS[0]}/validation-*.parquet"])
        for name, split in (ours or files).items():
            if _all_withheld(release, name, skipped):
                continue
            for row, cells in parquet_rows(release, name, _WANTED, _ALSO):
                case = _case(release, split, row, cells, skipped)
                if case is not None:
                    yield case


def _all_withheld(release: Release, name: str, skipped: Counter[str]) -> bool:
    """Count a file without a single answer, without reading its images."""
    count = 0
    for row, cells in parquet_rows(release, name, ("id", "answer")):
        if text_of(cells, "answer", row) not in ("", "?"):
            return False
        count += 1
    skipped[WITHHELD] += count
    return True


def _case(
    release: Release, split: Split, row: str, cells: dict[str, Any], skipped: Counter[str]
) -> SourceCase | None:
    question = text_of(cells, "question", row, lines=True)
    answer = text_of(cells, "answer", row)
    key = text_of(cells, "id", row)
    subject = next((each for each in SUBJECTS if f"_{each}_" in key), None)
    closed = text_of(cells, "question_type", row) == "multiple-choice"
    options = parse_options(text_of(cells, "options", row) or "[]", row) if closed else ()
    images = _images(release, row, cells)
    reason = empty(question, answer) or (WITHHELD if answer == "?" else None)
    reason = reason or (ANOTHER_SUBJECT if subject is None else None)
    reason = reason or (NO_SUCH_IMAGE if _names_more(question, options, len(images)) else None)
    try:
        answer = resolve_answer(answer, options, row) if closed else _first(answer, row)
    except BadDataError:
        reason = reason or AMBIGUOUS
    if reason:
        skipped[reason] += 1
        return None
    kinds = parse_options(text_of(cells, "img_type", row) or "[]", row) or ("unknown",)
    return SourceCase(
        row=row,
        key=key,
        images=images,
        question=question,
        answer=answer,
        answer_type="closed" if closed else "open",
        question_type="multiple-choice" if closed else "open",
        modality=next((kind for kind in kinds if specialty_of(kind)), kinds[0]),
        subject=key,
        split=split,
        options=options,
        attributes={"language": "en", "subject": str(subject), "official_split": key.split("_")[0]}
        | {name: text_of(cells, name, row) for name in _ALSO[len(_IMAGES) - 1 :] if name in cells},
    )


def _images(release: Release, row: str, cells: dict[str, Any]) -> tuple[SourceImage, ...]:
    """Return the images in their columns' order, up to the first column that is empty."""
    found = []
    for column in _IMAGES:
        if not cells.get(column):
            break
        found.append(image_in(cells[column], f"{row}, {column}", release.limits))
    return tuple(found)


def _names_more(question: str, options: tuple[str, ...], count: int) -> bool:
    """Say whether there is no image, or a mark `<image n>` of question or options has none."""
    marks = re.findall(r"<image (\d+)>", " ".join((question, *options)))
    return not count or any(int(mark) > count for mark in marks)


def _first(answer: str, row: str) -> str:
    """Return an open answer; of several that the source accepts, the first."""
    if not answer.startswith("["):
        return answer
    return next(iter(parse_options(answer, row)), answer)


SOURCE = Mmmu()
