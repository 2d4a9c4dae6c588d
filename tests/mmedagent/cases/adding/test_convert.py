"""What is said of a question that is set aside."""

import io

import pytest
from PIL import Image

from mmedagent.cases.adding.convert import UNSHOWN, Converter
from mmedagent.cases.multiple_choice import Vocabulary
from mmedagent.cases.sources.contract import SourceCase, SourceImage
from mmedagent.recipes.sets import DataSetRecipe, SourceRecipe


def _picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (40, 40), 90).save(buffer, "PNG")
    return buffer.getvalue()


def _unmapped(source: str, modality: str) -> dict[str, int]:
    recipe = DataSetRecipe.model_validate(
        {
            "name": "some",
            "source": SourceRecipe(name=source),
            "release": "release",
            "sha256": "0" * 64,
            "privacy": {"burned_in_text": "keep"},
        }
    )
    case = SourceCase(
        row="table.csv row 2",
        key="1",
        images=(SourceImage("table.csv row 2", _picture),),
        question="Is there a mass?",
        answer="yes",
        answer_type="closed",
        question_type="finding",
        modality=modality,
        subject="subject-1",
        split="train",
    )
    return dict(Converter(recipe, Vocabulary(), False).convert([case]).unmapped)


@pytest.mark.parametrize(
    ("source", "modality", "said"),
    [
        ("own", "Meierhans", UNSHOWN),  # the mapping may have the wrong column
        ("own", "OT", "OT"),
        ("mmmu", "Sheet Music", "Sheet Music"),
        ("own", "CT", None),
    ],
)
def test_a_hospitals_unknown_word_is_counted_and_not_shown(
    source: str, modality: str, said: str | None
) -> None:
    assert _unmapped(source, modality) == ({said: 1} if said else {})
