"""One readable page of all suites' Data Docs: what fails first, then every expectation."""

from collections.abc import Mapping
from html import escape
from importlib import resources
from typing import Any

from mmedagent.cases.expectations import SHARED
from mmedagent.cases.findings.html import page, tiles, title
from mmedagent.cases.source_rules import RULES

_CASES = 12
"""So many rows of a failed expectation are named at the top."""


def docs_page(summary: Mapping[str, Any], pages: Mapping[str, str]) -> str:
    """Return the page: `summary` is `validation.json`, `pages` the Data Docs by suite."""
    titles = {name: "All sources" if name == SHARED else RULES[name].title for name in pages}
    results = summary["results"]
    broken = [one for one in results if not one["success"]]
    stopping = [one for one in broken if one["severity"] == "stop"]
    verdict = "May be trained on" if summary["success"] else "Must not be trained on"
    figures = (
        ("cases", summary["cases"]),
        ("images", summary["images"]),
        ("expectations", len(results)),
        ("fail and stop", len(stopping)),
        ("fail and warn", len(broken) - len(stopping)),
    )
    links = "".join(f'<a href="#suite-{n}">{escape(t)}</a>' for n, t in enumerate(titles.values()))
    head = (
        '<p class="eyebrow">Great Expectations · what every case must be like</p>'
        + title(str(summary["data_set"]), verdict, "ok" if summary["success"] else "bad")
        + f'<p class="lead">Version <code>{summary["data_digest"][:16]}</code>. What only the whole'
        ' set shows is in <a href="findings.html">the findings</a>.</p>'
        + tiles(figures)
        + f'<nav class="suites">{links}</nav>'
    )
    failed = "".join(_failed(one, titles[one["suite"]]) for one in broken)
    if failed:
        head += f"<section><h2>What fails</h2>{failed}</section>"
    suites = "".join(
        f'<section id="suite-{number}" class="docs"><h2>{escape(titles[name])}</h2>'
        + body.replace('id="section-', f'id="suite-{number}-section-')
        + "</section>"
        for number, (name, body) in enumerate(pages.items())
    )
    style = resources.files(__package__).joinpath("datadocs.css").read_text(encoding="utf-8")
    return page(f"Data Docs: {summary['data_set']}", head + suites, style)


def _failed(result: Mapping[str, Any], suite: str) -> str:
    said = result["expectation"].removeprefix("expect_").replace("_", " ")
    bounds = ", ".join(f"{key} {value}" for key, value in result["arguments"].items())
    rows = "".join(
        f"<li><code>{escape(case)}</code> {escape(value)}</li>"
        for case, value in result["rows"][:_CASES]
    )
    more = result["unexpected"] - min(len(result["rows"]), _CASES)
    if more > 0:
        rows += f"<li>and {more:,} more</li>"
    if result["missing"]:
        rows += f"<li>lacks {escape(', '.join(result['missing']))}</li>"
    if result["error"]:
        rows += f"<li>{escape(result['error'])}</li>"
    state = "stops the run" if result["severity"] == "stop" else "warning"
    return (
        f'<article class="{result["severity"]}"><p><span class="state">{state}</span>'
        f" <b>{escape(result['column'])}</b>: {escape(said)} <code>{escape(bounds)}</code>"
        f" <small>({escape(suite)})</small></p>"
        f'<p class="review">{escape(result["notes"])}</p><ul class="rows">{rows}</ul></article>'
    )
