"""The expectation suite in code: what must be true of a data set before anything is trained on it.

Great Expectations 1.24: https://docs.greatexpectations.io/docs/core. All expectations are over one
table with a row a case (`inspection.inspect` and `table` below), so that a failed one can name its
rows by `case_id`; facts about a pool or a question type stand on each of its rows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mmedagent.cases.case import SPECIALTIES
from mmedagent.cases.inspection import TEXT
from mmedagent.recipes.data import ValidationRecipe

LEARNING_POOL = "train"
"""The pool whose balance matters: reinforcement learning starves rare classes."""


def table(
    records: Sequence[Mapping[str, Any]], leaked: Sequence[tuple[str | None, str | None]]
) -> list[dict[str, Any]]:
    """Return the records with what only the whole data set tells.

    Adds `same_image_as` and `similar_image_to` (a case of another pool or None), `contradicts` (a
    case that asks the same of the same image and has another answer, or None), `imbalance` (how
    many times the commonest specialty of the train pool outnumbers this one by images, else None)
    and `answer_share` (share of this answer among the train pool's questions of its type).
    """
    learning = [record for record in records if record["pool"] == LEARNING_POOL]
    images = Counter(s for s, _ in {(r["specialty"], r["image_digest"]) for r in learning})
    types = Counter(record["question_type"] for record in learning)
    answers = Counter((record["question_type"], record["answer"]) for record in learning)
    first: dict[tuple[Any, Any], Mapping[str, Any]] = {}
    rows = []
    for record, (same, similar) in zip(records, leaked, strict=True):
        asked = (record["image_digest"], record["question_type"])
        other = first.setdefault(asked, record)
        trained = record["pool"] == LEARNING_POOL
        kind = record["question_type"]
        rows.append(
            dict(record)
            | {
                "same_image_as": same,
                "similar_image_to": similar,
                "contradicts": None if other["answer"] == record["answer"] else other["case_id"],
                "imbalance": max(images.values()) / images[record["specialty"]]
                if trained
                else None,
                "answer_share": answers[kind, record["answer"]] / types[kind] if trained else None,
            }
        )
    return rows


def suite(recipe: ValidationRecipe) -> Any:
    """Return the suite, a `great_expectations.ExpectationSuite`."""
    import great_expectations as gx

    return gx.ExpectationSuite(name="cases", expectations=_schema(recipe) + _content(recipe))


def _schema(recipe: ValidationRecipe) -> list[Any]:
    import great_expectations.expectations as gxe

    present = [gxe.ExpectColumnValuesToNotBeNull(column=name) for name in TEXT]
    worded = [
        gxe.ExpectColumnValuesToMatchRegex(column=name, regex=r"\S", notes="Not blank.")
        for name in TEXT
    ]
    return [
        *present,
        *worded,
        gxe.ExpectColumnValuesToBeUnique(column="case_id", notes="Each case has its own id."),
        gxe.ExpectColumnValuesToBeInSet(
            column="specialty", value_set=list(SPECIALTIES), notes="The paper's seven specialties."
        ),
        gxe.ExpectColumnValuesToBeInSet(column="modality", value_set=list(recipe.modalities)),
        gxe.ExpectColumnValuesToBeInSet(column="pool", value_set=list(recipe.pools)),
        gxe.ExpectColumnDistinctValuesToContainSet(
            column="pool", value_set=list(recipe.pools), notes="No pool is empty."
        ),
    ]


def _content(recipe: ValidationRecipe) -> list[Any]:
    import great_expectations.expectations as gxe

    return [
        gxe.ExpectColumnValuesToBeBetween(
            column="options", min_value=2, max_value=26, notes="Lettered options, A to Z."
        ),
        gxe.ExpectColumnValuesToBeInSet(column="repeated_options", value_set=[False]),
        gxe.ExpectColumnValuesToBeInSet(column="blank_options", value_set=[False]),
        gxe.ExpectColumnValuesToBeInSet(
            column="answer_is_option", value_set=[True], notes="The answer is one of the options."
        ),
        gxe.ExpectColumnValuesToBeNull(
            column="image_problem", notes="The image decodes and claims no absurd size."
        ),
        gxe.ExpectColumnValuesToBeBetween(column="width", min_value=recipe.min_side),
        gxe.ExpectColumnValuesToBeBetween(column="height", min_value=recipe.min_side),
        gxe.ExpectColumnValuesToBeBetween(column="pixels", max_value=recipe.max_pixels),
        gxe.ExpectColumnValuesToBeBetween(
            column="image_bytes", min_value=1, max_value=recipe.max_bytes
        ),
        gxe.ExpectColumnValuesToBeNull(
            column="same_image_as", notes="No image is in two pools (sha256 of its bytes)."
        ),
        gxe.ExpectColumnValuesToBeNull(
            column="similar_image_to",
            notes=f"No picture is nearly in two pools: perceptual hashes differ in more than "
            f"{recipe.near_duplicate_bits} of 256 bits.",
        ),
        gxe.ExpectColumnValuesToBeNull(
            column="contradicts", notes="One question about one image has one answer."
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="imbalance",
            max_value=recipe.max_imbalance,
            notes="The train pool's specialties are balanced, or the rare ones go to zero.",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="answer_share",
            max_value=recipe.max_answer_share,
            notes="No answer is right nearly always: that would teach to ignore the image.",
        ),
    ]
