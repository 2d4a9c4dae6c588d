"""The gate before training: checks a data version, keeps the evidence, and stops what is bad."""

from pathlib import Path
from typing import Any

from mmedagent import atomic
from mmedagent.cases.checkpoint import run_checkpoint
from mmedagent.cases.expectations import suite, table
from mmedagent.cases.inspection import inspect
from mmedagent.cases.leaks import leaks
from mmedagent.cases.store import read_manifest, read_rows
from mmedagent.errors import BadDataError
from mmedagent.recipes.data import ValidationRecipe

_NAMED = 5
"""So many rows of a failed expectation are named in the message; the page has more."""


def validate(cases: Path, recipe: ValidationRecipe, out: Path) -> dict[str, Any]:
    """Check the data version in the folder `cases` and write the evidence to the folder `out`.

    `out` gets `index.html` (Great Expectations' Data Docs of this validation, one self-contained
    page) and `validation.json` (`success`, `cases`, `expectations`, `data_digest`, `results`); the
    content of `validation.json` is returned. Both are written when expectations fail, too: then
    `BadDataError` names each failed expectation with its column and its first rows. It is also
    raised, without evidence, when `cases` is no whole data version.
    """
    manifest = read_manifest(cases)
    rows = read_rows(cases)
    records = inspect(rows, recipe)
    images = {
        record["image_digest"]: row["image"]["bytes"]
        for record, row in zip(records, rows, strict=True)
        if record["image_problem"] is None
    }
    leaked = leaks(records, images, recipe.near_duplicate_bits)
    results, page = run_checkpoint(table(records, leaked), suite(recipe))
    summary = {
        "schema": 1,
        "success": all(result["success"] for result in results),
        "cases": len(rows),
        "images": len(images),
        "expectations": len(results),
        "data_digest": manifest["digest"],
        "results": results,
    }
    with atomic.new_folder(out) as aside:
        atomic.write_text(aside / "index.html", page)
        atomic.write_json(aside / "validation.json", summary)
    if not summary["success"]:
        raise BadDataError(_message(cases, out, results))
    return summary


def _message(cases: Path, out: Path, results: list[dict[str, Any]]) -> str:
    failed = [result for result in results if not result["success"]]
    lines = [f"{cases} must not be trained on: {len(failed)} of {len(results)} expectations fail"]
    for result in failed:
        lines.append(f"  column {result['column']}: {result['expectation']} {_arguments(result)}")
        if result["error"]:
            lines.append(f"    {result['error']}")
        if result["observed"]:
            lines.append(f"    found only {', '.join(result['observed'])}")
        lines += [f"    case {case}: {value}" for case, value in result["rows"][:_NAMED]]
        if result["unexpected"] > _NAMED:
            lines.append(f"    and {result['unexpected'] - _NAMED} more")
    lines.append(f"  all rows: {out / 'index.html'}")
    return "\n".join(lines)


def _arguments(result: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in result["arguments"].items())
