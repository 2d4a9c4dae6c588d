"""Runs the suite with Great Expectations and turns its Data Docs into one self-contained page."""

import logging
import os
import re
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from mmedagent.errors import BadDataError

_EXTERNAL = (
    re.compile(r"<script\b.*?</script>", re.S | re.I),
    re.compile(r"<link\b[^>]*>", re.I),
    re.compile(r"<img\b[^>]*>", re.I),
    re.compile(r"<!--.*?-->", re.S),
    re.compile(r"url\('https?:[^)]*\)"),
    re.compile(r"<footer\b.*?</footer>", re.S | re.I),
)


def run_checkpoint(rows: list[dict[str, Any]], suite: Any) -> tuple[list[dict[str, Any]], str]:
    """Validate the table and return every expectation's result and the Data Docs page.

    A result has `expectation`, `column`, `notes`, `arguments`, `success`, `unexpected` (how many),
    `rows` (pairs of case id and value, the first hundred) and `error`. Nothing leaves the machine:
    the context is ephemeral and Great Expectations' analytics are off.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    import pandas as pd
    from great_expectations.checkpoint import UpdateDataDocsAction

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as site:
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        context.add_data_docs_site("docs", _site(site))
        asset = context.data_sources.add_pandas("data").add_dataframe_asset("cases")
        definition = context.validation_definitions.add(
            gx.ValidationDefinition(
                name="cases",
                data=asset.add_batch_definition_whole_dataframe("all"),
                suite=context.suites.add(suite),
            )
        )
        checkpoint = context.checkpoints.add(
            gx.Checkpoint(
                name="cases",
                validation_definitions=[definition],
                actions=[UpdateDataDocsAction(name="docs", site_names=["docs"])],
                result_format={
                    "result_format": "COMPLETE",
                    "unexpected_index_column_names": ["case_id"],
                },
            )
        )
        frame = pd.DataFrame(rows).astype({"imbalance": float, "answer_share": float})
        done = checkpoint.run(batch_parameters={"dataframe": frame})
        [run] = done.run_results.values()
        return [_result(one) for one in run.results], _page(Path(site))


def _site(folder: str) -> dict[str, Any]:
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": folder}
    return {
        "class_name": "SiteBuilder",
        "store_backend": store,
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "show_how_to_buttons": False,
    }


def _result(one: Any) -> dict[str, Any]:
    config, result = one.expectation_config, one.result
    column = config.kwargs.get("column", "")
    listed = result.get("unexpected_index_list") or []
    raised = one.exception_info or {}
    error = None if raised.get("raised_exception") is False else str(raised)[:300]
    arguments = {k: v for k, v in config.kwargs.items() if k not in ("column", "batch_id")}
    return {
        "expectation": config.type,
        "column": column,
        "notes": config.notes or "",
        "arguments": arguments,
        "success": bool(one.success),
        "unexpected": int(result.get("unexpected_count") or 0),
        "rows": [[str(row.get("case_id")), str(row.get(column))] for row in listed[:100]],
        "observed": [str(value) for value in result.get("observed_value") or []]
        if isinstance(result.get("observed_value"), list)
        else [],
        "error": None if one.success else error,
    }


def _page(site: Path) -> str:
    """Return the validation's page without what Data Docs load from elsewhere, with own style."""
    pages = sorted((site / "validations").rglob("*.html"))
    if len(pages) != 1:
        raise BadDataError(f"Great Expectations wrote {len(pages)} validation pages, not one")
    text = pages[0].read_text()
    for pattern in _EXTERNAL:
        text = pattern.sub("", text)
    style = resources.files(__package__).joinpath("datadocs.css").read_text()
    return text.replace("</head>", f"<style>\n{style}</style>\n</head>", 1)
