"""OmniMedVQA, the open-access part: 42 sets of images with multiple choice (Hu et al. 2024)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

from mmedagent.cases.multiple_choice import resolve_answer
from mmedagent.cases.sources.contract import SourceCase, SourceImage, Split
from mmedagent.cases.sources.hub import empty
from mmedagent.cases.sources.json_rows import json_rows
from mmedagent.cases.sources.layout import Keys, text_of, unknown
from mmedagent.cases.sources.release import Release
from mmedagent.errors import BadDataError
from mmedagent.recipes.sets import SourceRecipe

_TABLES = "QA_information/Open-access/"
_TEST_PERCENT = 20
AMBIGUOUS = "answer is not exactly one of the options"


class OmniMedVqa:
    """Reads the original archive: one JSON file for each of the sets it was made of."""

    name = "omni-med-vqa"
    title = "OmniMedVQA"
    licence = "each set's own; the card asks to keep to them"
    homepage = "https://huggingface.co/datasets/foreverbeliever/OmniMedVQA"

    def cases(
        self, release: Release, recipe: SourceRecipe, skipped: Counter[str]
    ) -> Iterator[SourceCase]:
        """Yield the cases; see `contract.Source`. Restricted-access tables are not read."""
        tables = [
            name
            for name in release.names()
            if f"/{_TABLES}" in f"/{name}" and name.endswith(".json")
        ]
        if not tables:
            raise unknown(release, self.title, [f"{_TABLES}*.json"])
        for table in tables:
            base = table[: f"/{table}".index(f"/{_TABLES}")]
            keys, stem = Keys(), PurePosixPath(table).stem
            for row, cells in json_rows(release, table):
                case = _case(release, base, row, cells, skipped)
                if case is not None:
                    key = keys.of(f"{stem}-{text_of(cells, 'question_id', row)}")
                    yield replace(case, key=key)


def split_of_image(path: str) -> Split:
    """Return the split of an image: the set has none, so a fifth is `test` by its path's sha256.

    All questions about an image are in one split, and adding images moves none. Which images show
    one patient is not known.
    """
    share = int(sha256(path.encode()).hexdigest()[:8], 16) % 100
    return "test" if share < _TEST_PERCENT else "train"


def _case(
    release: Release, base: str, row: str, cells: dict[str, Any], skipped: Counter[str]
) -> SourceCase | None:
    question, answer = text_of(cells, "question", row), text_of(cells, "gt_answer", row)
    if reason := empty(question, answer):
        skipped[reason] += 1
        return None
    letters = [name for name in sorted(cells) if name.startswith("option_")]
    options = tuple(dict.fromkeys(t for name in letters if (t := text_of(cells, name, row))))
    try:
        answer = resolve_answer(answer, options, row)
    except BadDataError:
        options = ()
    if len(options) < 2:
        skipped[AMBIGUOUS] += 1
        return None
    path = text_of(cells, "image_path", row)
    # One row of the release calls the column `modality`.
    modality = text_of(cells, "modality_type" if "modality_type" in cells else "modality", row)
    return SourceCase(
        row=row,
        key=row,  # replaced by who knows the table
        images=(SourceImage(release.place(path), partial(release.read, f"{base}{path}")),),
        question=question,
        answer=answer,
        answer_type="closed",
        question_type=text_of(cells, "question_type", row).lower(),
        modality=modality or "unknown",
        subject=path,
        split=split_of_image(path),
        options=options,
        attributes={"language": "en", "dataset": text_of(cells, "dataset", row)},
    )


SOURCE = OmniMedVqa()
