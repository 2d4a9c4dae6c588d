"""`summary.json`: every figure that the report shows. The page is rendered from it alone."""

import json
import os
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from mmedagent.cases.case import Case
from mmedagent.report.curves import read_curves
from mmedagent.report.examples import RULE, choose_examples, count_overruled, example
from mmedagent.report.rundir import RunFolder
from mmedagent.report.tables import ablation, baselines, data_table, key_figures

SCHEMA_FILE = Path(__file__).with_name("summary.schema.json")
_DEFAULT_BAR_IMAGES = 20


def summarise(path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the content of summary.json for the run in `path`, and the examples' images.

    Whatever part of the run is missing is None there; whatever is there and cannot be read is
    named in `problems`. The images (encoded, by digest) are shown on the page, not in the summary.
    """
    run = RunFolder(path)
    cases = _cases(run)
    metrics = _json(run, "evaluate", "metrics.json", "metrics")
    verdict = _json(run, "gate", "verdict.json", "verdict")
    failure = run.failure()
    examples = None if metrics is None else run.attempt("examples", partial(_examples, run, cases))
    pool = "test" if metrics is None else metrics["pool"]
    least = _DEFAULT_BAR_IMAGES if metrics is None else metrics["bar_images"]
    data = run.attempt("data", partial(data_table, cases, pool, least)) if cases else None
    rows = None if metrics is None else run.attempt("baselines", partial(baselines, metrics))
    ablated = None if metrics is None else run.attempt("ablation", partial(ablation, metrics))
    tiles = None if metrics is None else run.attempt("key figures", partial(key_figures, metrics))
    summary = {
        "schema": 1,
        "run": _run(run),
        "headline": headline(run.state(), failure, verdict),
        "failure": failure,
        "tasks": run.tasks(),
        "key_figures": tiles or [],
        "curves": read_curves(run),
        "curriculum": run.result("curriculum"),
        "verdict": verdict,
        "metrics": metrics,
        "baselines": rows or [],
        "ablation": ablated or [],
        "examples": examples,
        "data": data,
        "registration": run.result("register"),
        "deployment": run.result("deploy"),
        "links": _links(run),
        "digests": run.facts.get("digests") or {},
        "recipe": run.facts.get("recipe") or {},
        "problems": run.problems,
    }
    shown = {item["image_digest"] for item in (examples or {"items": []})["items"]}
    images = {
        c.image_digest: c.images[0] for c in cases if c.pool == pool and c.image_digest in shown
    }
    return summary, images


def headline(
    state: str, failure: Mapping[str, Any] | None, verdict: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the run in one sentence, with the verdict's word and reasons."""
    word = verdict["verdict"] if verdict else None
    reasons = list(verdict["reasons"]) if verdict else []
    if failure:
        how = "was interrupted at" if failure["state"] == "interrupted" else "failed at"
        judged = f" The verdict had been {word}." if word else " There is no verdict."
        sentence = f"The run {how} {failure['task'].replace('-', ' ')}.{judged}"
    elif verdict:
        sentence = verdict["sentence"]
    elif state == "done":
        sentence = "The run ended without a verdict."
    else:
        sentence = "The run is not finished: there is no verdict."
    return {"verdict": word, "state": state, "sentence": sentence, "reasons": reasons}


def _run(run: RunFolder) -> dict[str, Any]:
    facts = run.facts
    started, finished = facts.get("started"), facts.get("finished")
    ends = [r["finished"] for r in run.records.values() if r.get("finished")]
    finished = finished or max(ends, default=None)
    return {
        "id": facts.get("run_id") or run.path.name,
        "recipe_name": facts.get("recipe_name"),
        "state": run.state(),
        "exit_code": facts.get("exit_code"),
        "started": started,
        "finished": finished,
        "seconds": run.attempt("run.json", partial(_seconds, started, finished)),
        "git_revision": facts.get("git_revision"),
    }


def _seconds(started: str | None, finished: str | None) -> float | None:
    if not started or not finished:
        return None
    span = datetime.fromisoformat(finished) - datetime.fromisoformat(started)
    return round(max(0.0, span.total_seconds()), 3)


def _links(run: RunFolder) -> dict[str, str]:
    """Return where the pages of other steps lie, relative to the report."""
    pages = {"data_docs": ("validate", "index.html"), "verdict": ("gate", "verdict.html")}
    found = {name: run.output(*page) for name, page in pages.items()}
    return {name: os.path.relpath(path, run.path) for name, path in found.items() if path}


def _json(run: RunFolder, task: str, name: str, kind: str) -> dict[str, Any] | None:
    path = run.output(task, name)
    if path is None:
        return None
    return run.attempt(f"{task}: {name}", partial(_valid, path, kind))


def _valid(path: Path, kind: str) -> dict[str, Any]:
    """Return the JSON object in `path`, which must be what the summary's schema calls `kind`."""
    import jsonschema

    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator({**schema["$defs"][kind], "$defs": schema["$defs"]})
    error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    if error is not None:
        raise ValueError(f"not as its schema says: {error.json_path}: {error.message[:200]}")
    return value


def _cases(run: RunFolder) -> list[Case]:
    from mmedagent.cases.store import read_cases

    manifest = run.output("ingest", "manifest.json")
    if manifest is None:
        return []
    return run.attempt("data", lambda: read_cases(manifest.parent)) or []


def _examples(run: RunFolder, cases: list[Case]) -> dict[str, Any] | None:
    from mmedagent.evaluation.predictions import read_predictions

    path = run.output("evaluate", "predictions.parquet")
    if path is None:
        return None
    table, facts = read_predictions(path)
    by_id = {case.case_id: case for case in cases}
    rows = choose_examples(table, facts["pool"])
    items = [example(row, by_id[row["case_id"]]) for row in rows if row["case_id"] in by_id]
    if len(items) < len(rows):
        raise ValueError(f"{len(rows) - len(items)} of the examples' cases are not in the data")
    return {"rule": RULE, "overruled": count_overruled(table, facts["pool"]), "items": items}
