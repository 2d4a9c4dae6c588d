"""The expectation suites in code: what must be true of a data set before it is trained on.

Great Expectations 1.24: https://docs.greatexpectations.io/docs/core. One suite is shared by all
sources, and each source has one of its own, over its rows alone. All of them look at the fact table
(`facts`), one row a case, so that a failed expectation can name its rows by `case_id`. Facts that
Great Expectations could not ask SQLite for (blank texts, leaks, contradictions) are columns there.
"""

from collections.abc import Iterable
from typing import Any

from mmedagent.cases.case import SPECIALTIES
from mmedagent.cases.findings.kinds import KINDS, policy_of
from mmedagent.cases.layout import TEXT
from mmedagent.cases.modalities import table
from mmedagent.cases.source_rules import RULES, STARTER, SourceRules
from mmedagent.recipes.data import ValidationRecipe

SHARED = "all sources"
_WARN = "warning"
"""Severity of an expectation that is shown and does not stop a run."""


def shared_suite(recipe: ValidationRecipe, sources: Iterable[str]) -> Any:
    """Return the suite for all rows, a `great_expectations.ExpectationSuite`.

    `sources` are the suites that occur: they decide which pools must not be empty.
    """
    import great_expectations as gx

    expectations = [*_schema(recipe, sources), *_content(recipe), *_judged(recipe)]
    return gx.ExpectationSuite(name=SHARED, expectations=expectations)


def source_suite(name: str) -> Any:
    """Return the suite of one source, for its rows alone."""
    import great_expectations as gx

    return gx.ExpectationSuite(name=name, expectations=_source(RULES[name]))


def required_pools(recipe: ValidationRecipe, sources: Iterable[str]) -> list[str]:
    """Return the pools that must not be empty in a set of these sources."""
    wanted: set[str] = set()
    for source in sources:
        pools = RULES[source].pools
        wanted.update(recipe.pools if pools is None else pools)
    return sorted(wanted)


def known_modalities(recipe: ValidationRecipe, sources: Iterable[str]) -> list[str]:
    """Return the modalities that may occur: the recipe's, and for other sources the table's."""
    known = set(recipe.modalities)
    if set(sources) - {STARTER}:
        known |= {row.modality for row in table() if row.specialty}
    return sorted(known)


def _schema(recipe: ValidationRecipe, sources: Iterable[str]) -> list[Any]:
    import great_expectations.expectations as gxe

    present = [gxe.ExpectColumnValuesToNotBeNull(column=name) for name in TEXT]
    worded = [
        gxe.ExpectColumnValueLengthsToBeBetween(column=name, min_value=1, notes="Not blank.")
        for name in TEXT
    ]
    return [
        *present,
        *worded,
        gxe.ExpectColumnValuesToBeUnique(column="case_id", notes="Each case has its own id."),
        gxe.ExpectColumnValuesToBeInSet(
            column="specialty", value_set=list(SPECIALTIES), notes="The paper's seven specialties."
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="modality", value_set=known_modalities(recipe, sources)
        ),
        gxe.ExpectColumnValuesToBeInSet(column="pool", value_set=list(recipe.pools)),
        gxe.ExpectColumnDistinctValuesToContainSet(
            column="pool", value_set=required_pools(recipe, sources), notes="No pool is empty."
        ),
        gxe.ExpectColumnValuesToBeInSet(column="answer_type", value_set=["closed", "open"]),
        gxe.ExpectColumnValuesToBeBetween(
            column="question_chars", max_value=recipe.max_question_chars
        ),
    ]


def _content(recipe: ValidationRecipe) -> list[Any]:
    import great_expectations.expectations as gxe

    return [
        gxe.ExpectColumnValuesToBeBetween(
            column="options", min_value=2, max_value=26, notes="Lettered options, A to Z."
        ),
        gxe.ExpectColumnValuesToBeNull(
            column="open_options", notes="An open question has no options."
        ),
        gxe.ExpectColumnValuesToBeInSet(column="repeated_options", value_set=[0]),
        gxe.ExpectColumnValuesToBeInSet(column="blank_options", value_set=[0]),
        gxe.ExpectColumnValuesToBeInSet(
            column="answer_is_option", value_set=[1], notes="The answer is one of the options."
        ),
        gxe.ExpectColumnValuesToBeNull(
            column="image_problem", notes="Every image decodes and claims no absurd size."
        ),
        gxe.ExpectColumnValuesToBeBetween(column="width", min_value=recipe.min_side),
        gxe.ExpectColumnValuesToBeBetween(column="height", min_value=recipe.min_side),
        gxe.ExpectColumnValuesToBeBetween(column="pixels", max_value=recipe.max_pixels),
        gxe.ExpectColumnValuesToBeBetween(
            column="image_bytes", min_value=1, max_value=recipe.max_bytes
        ),
    ]


def _judged(recipe: ValidationRecipe) -> list[Any]:
    """Return an expectation for each column that findings fill when they stop a run."""
    import great_expectations.expectations as gxe

    limits = {"imbalance": recipe.max_imbalance, "answer_share": recipe.max_answer_share}
    expectations: list[Any] = []
    for column in dict.fromkeys(kind.column for kind in KINDS.values() if kind.column):
        kinds = [name for name, kind in KINDS.items() if kind.column == column]
        said = "; ".join(f"{KINDS[name].title}: {policy_of(name, recipe)}" for name in kinds)
        notes = f"{said}. Reviewed findings and warnings are in the findings, not here."
        if column in limits:
            expectations.append(
                gxe.ExpectColumnValuesToBeBetween(
                    column=column, max_value=limits[column], notes=notes
                )
            )
        else:
            expectations.append(gxe.ExpectColumnValuesToBeNull(column=column, notes=notes))
    return expectations


def _source(rules: SourceRules) -> list[Any]:
    import great_expectations.expectations as gxe

    least, most = rules.options
    expectations: list[Any] = [
        gxe.ExpectColumnValuesToBeBetween(column="images", min_value=1, max_value=rules.images),
    ]
    if rules.options != SourceRules.options:
        expectations.append(
            gxe.ExpectColumnValuesToBeBetween(
                column="options",
                min_value=least,
                max_value=most,
                notes="Of multiple-choice questions; null for the others.",
            )
        )
    if rules.pools is not None:
        expectations.append(
            gxe.ExpectColumnDistinctValuesToContainSet(
                column="pool", value_set=list(rules.pools), notes="The release's own splits."
            )
        )
    if rules.languages:
        expectations.append(
            gxe.ExpectColumnValuesToBeInSet(
                column="language", value_set=list(rules.languages), severity=_WARN
            )
        )
    if rules.question_types is not None:
        expectations.append(
            gxe.ExpectColumnValuesToBeInSet(
                column="question_type",
                value_set=list(rules.question_types),
                severity=_WARN,
                notes="The types of the release as published; a new one is worth a look.",
            )
        )
    return expectations
