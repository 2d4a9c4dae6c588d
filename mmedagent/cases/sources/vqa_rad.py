"""VQA-RAD: 315 radiology images of MedPix with questions by clinicians (Lau et al. 2018)."""

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from mmedagent.cases.sources.contract import SourceCase
from mmedagent.cases.sources.hub import empty, hub_cases, said_type
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

_TABLE = "VQA_RAD Dataset Public.json"
_FOLDER = "VQA_RAD Image Folder"
_MODALITIES = {"HEAD": "CT or MRI", "CHEST": "X-ray", "ABD": "CT"}
"""By the organ: the paper took 104 head CTs or MRIs, 107 chest X-rays and 104 abdominal CTs."""


class VqaRad:
    """Reads the original archive, and the hub's Parquet conversion."""

    name = "vqa-rad"
    title = "VQA-RAD"
    licence = "CC0 1.0"
    homepage = "https://osf.io/89kps/"

    def cases(
        self, release: Release, recipe: SourceRecipe, skipped: Counter[str]
    ) -> Iterator[SourceCase]:
        """Yield the cases of either layout; see `contract.Source`."""
        table = find(release, _TABLE)
        if table is not None:
            yield from _original(release, table, skipped)
        elif parquet_splits(release):
            yield from hub_cases(release, "radiology", skipped, lambda cells, row: {}, ())
        else:
            raise unknown(release, self.title, [_TABLE, "train-*.parquet"])


def _original(release: Release, table: str, skipped: Counter[str]) -> Iterator[SourceCase]:
    pictures = Pictures(release, base_of(table, _TABLE), (_FOLDER, "images"), f"{_FOLDER}.zip")
    keys = Keys()
    for row, cells in json_rows(release, table):
        question, answer = text_of(cells, "question", row), text_of(cells, "answer", row)
        if reason := empty(question, answer):
            skipped[reason] += 1
            continue
        picture = text_of(cells, "image_name", row)
        organ = text_of(cells, "image_organ", row).upper()
        test = text_of(cells, "phrase_type", row).lower().startswith("test")
        yield SourceCase(
            row=row,
            key=keys.of(text_of(cells, "qid", row)),
            images=(pictures[picture],),
            question=question,
            answer=answer,
            answer_type=said_type(text_of(cells, "answer_type", row), question, answer),
            question_type=text_of(cells, "question_type", row).lower(),
            modality=_MODALITIES.get(organ, "radiology"),
            subject=PurePosixPath(picture).stem,
            split="test" if test else "train",
            attributes={"language": "en", "body_region": organ.lower()},
        )


SOURCE = VqaRad()
