"""Runs the suites with Great Expectations over the fact file, and keeps its Data Docs.

Great Expectations asks SQLite: a million rows take some ten seconds and 300 MB, most of which is
the library itself.
"""

import logging
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from mmedagent.cases.expectations import SHARED, shared_suite, source_suite
from mmedagent.cases.plain_html import plain_html
from mmedagent.recipes.data import ValidationRecipe

NAMED_ROWS = 100
"""So many rows of a failed expectation are named."""
_FORMAT = {
    "result_format": "SUMMARY",
    "unexpected_index_column_names": ["case_id"],
    "partial_unexpected_count": NAMED_ROWS,
}


def run_checkpoint(
    facts: Path, recipe: ValidationRecipe, sources: Sequence[str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Validate the fact table; return every expectation's result and each suite's Data Docs.

    `sources` are the suites that occur. A result has `suite`, `expectation`, `column`, `notes`,
    `arguments`, `severity` (`stop` or `warn`), `success`, `unexpected` (how many), `rows` (pairs of
    case id and value, the first hundred), `missing` (values that should occur) and `error`.
    Nothing leaves the machine: the context is ephemeral and Great Expectations' analytics are off.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    data = context.data_sources.add_sqlite("facts", connection_string=f"sqlite:///{facts}")
    whole = data.add_table_asset("cases", table_name="cases")
    batches = {SHARED: whole.add_batch_definition_whole_table("all")}
    for name in sources:
        query = f"SELECT * FROM cases WHERE suite = '{name}'"
        batches[name] = data.add_query_asset(name, query=query).add_batch_definition("all")
    results: list[dict[str, Any]] = []
    pages: dict[str, str] = {}
    # The one page that is kept is rendered alone: a whole Data Docs site takes three times as long.
    renderer, view = ValidationResultsPageRenderer(), DefaultJinjaPageView()
    for name, batch in batches.items():
        suite = shared_suite(recipe, sources) if name == SHARED else source_suite(name)
        definition = gx.ValidationDefinition(name=name, data=batch, suite=context.suites.add(suite))
        run = context.validation_definitions.add(definition).run(result_format=_FORMAT)
        results += [_result(name, one) for one in run.results]
        for one in run.results:
            one.result = _escaped(one.result)
        pages[name] = plain_html(view.render(renderer.render(run)))
    return results, pages


def _result(suite: str, one: Any) -> dict[str, Any]:
    config, result = one.expectation_config, one.result
    column = config.kwargs.get("column", "")
    listed = result.get("partial_unexpected_index_list") or []
    raised = one.exception_info or {}
    error = None if raised.get("raised_exception") is False else str(raised)[:300]
    arguments = {k: v for k, v in config.kwargs.items() if k not in ("column", "batch_id")}
    return {
        "suite": suite,
        "expectation": config.type,
        "column": column,
        "notes": config.notes or "",
        "arguments": arguments,
        "severity": "warn" if config.severity.value == "warning" else "stop",
        "success": bool(one.success),
        "unexpected": int(result.get("unexpected_count") or 0),
        "rows": [[str(row.get("case_id")), str(row.get(column))] for row in listed[:NAMED_ROWS]],
        "missing": [str(value) for value in result.get("partial_missing_list") or []],
        "error": None if one.success else error,
    }


def _escaped(value: Any) -> Any:
    """Return a result with its texts as HTML: the renderer writes values as they are."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    return [_escaped(each) for each in value] if isinstance(value, list | tuple) else value
