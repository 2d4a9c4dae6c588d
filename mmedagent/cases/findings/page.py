"""The findings' page: each kind with its meaning, its figures, its images, and what to do."""

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mmedagent.cases.findings.html import page, picture, tiles, title
from mmedagent.cases.findings.kinds import KINDS
from mmedagent.recipes.data import FindingKind

_SHOWN = 60
"""Findings of a kind that the page shows; `findings.json` has more."""
_WITH_IMAGES = 24
"""Of these so many with their images."""
_IMAGES_EACH = 4
_STATES = {"stop": "stops the run", "warn": "warning", "reviewed": "reviewed"}


def findings_page(
    summary: Mapping[str, Any],
    findings: Sequence[Mapping[str, Any]],
    read: Callable[[Iterable[str]], Mapping[str, bytes]],
) -> str:
    """Return the page of a validation's findings, self-contained.

    `summary` is `validation.json`, `findings` are those listed; `read` returns the encoded images
    of the digests that it is given.
    """
    by_kind: dict[FindingKind, list[Mapping[str, Any]]] = {}
    for finding in findings:
        by_kind.setdefault(finding["kind"], []).append(finding)
    wanted = [
        digest
        for found in by_kind.values()
        for finding in found[:_WITH_IMAGES]
        for digest in finding["images"][:_IMAGES_EACH]
    ]
    images = read(wanted)
    sections = [
        _section(kind, found, summary["findings"][kind], images) for kind, found in by_kind.items()
    ]
    unjudged = {"label_noise"} | (set() if summary["drift_judged"] else {"drift"})
    quiet = [about.title for kind, about in KINDS.items() if kind not in {*by_kind, *unjudged}]
    body = [_head(summary), *sections, _quiet(quiet, summary), _stale(summary["stale_reviews"])]
    return page(f"Findings: {summary['data_set']}", "".join(body))


def _head(summary: Mapping[str, Any]) -> str:
    totals = {state: sum(kind[state] for kind in summary["findings"].values()) for state in _STATES}
    failed = [one for one in summary["results"] if not one["success"] and one["severity"] == "stop"]
    verdict = "May be trained on" if summary["success"] else "Must not be trained on"
    figures = (
        ("cases", summary["cases"]),
        ("images", summary["images"]),
        ("expectations that fail", len(failed)),
        ("findings that stop", totals["stop"]),
        ("warnings", totals["warn"]),
        ("reviewed", totals["reviewed"]),
    )
    return (
        '<p class="eyebrow">Validation of a data version</p>'
        + title(str(summary["data_set"]), verdict, "ok" if summary["success"] else "bad")
        + f'<p class="lead">Version <code>{summary["data_digest"][:16]}</code>. What every single'
        ' case must be like is in <a href="index.html">the Data Docs</a>; this page has what only'
        " the whole set shows.</p>" + tiles(figures)
    )


def _section(
    kind: FindingKind,
    findings: Sequence[Mapping[str, Any]],
    totals: Mapping[str, int],
    images: Mapping[str, bytes],
) -> str:
    about = KINDS[kind]
    said = ", ".join(f"{count:,} {state}" for state, count in totals.items() if count)
    rows = [
        _finding(finding, images if number < _WITH_IMAGES else None)
        for number, finding in enumerate(findings[:_SHOWN])
    ]
    total = sum(totals.values())
    more = (
        f'<p class="more">{total - len(rows):,} more: <code>findings.json</code> lists up to a'
        " thousand of a kind.</p>"
        if total > len(rows)
        else ""
    )
    return (
        f'<section id="{kind}"><h2>{about.title} <small>{said}</small></h2>'
        f'<p class="lead">{about.meaning} <b>{about.mend}</b></p>{"".join(rows)}{more}</section>'
    )


def _finding(finding: Mapping[str, Any], images: Mapping[str, bytes] | None) -> str:
    review = finding["review"]
    state = "reviewed" if review else finding["policy"]
    shown = ""
    if images is not None and finding["images"]:
        digests = finding["images"][:_IMAGES_EACH]
        shown = f'<div class="images">{"".join(picture(images.get(one)) for one in digests)}</div>'
    ids = [f"<code>{html.escape(one)}</code>" for one in finding["case_ids"][:6]]
    rest = finding["cases"] - len(ids)
    named = f'<p class="cases">{" ".join(ids)}{f" and {rest:,} more" if rest > 0 else ""}</p>'
    said = ""
    if review:
        said = (
            f'<p class="review">{html.escape(review["who"])}, {review["when"]}:'
            f" {html.escape(review['why'])}</p>"
        )
    badge = f'<span class="state">{_STATES[state]}</span>'
    return (
        f'<article class="{state}"><p class="what"><span>{badge}'
        f" {html.escape(finding['says'])}</span> <code class='id'>{finding['id']}</code></p>"
        f"{shown}{named if ids else ''}{said}</article>"
    )


def _quiet(titles: Iterable[str], summary: Mapping[str, Any]) -> str:
    entries = "".join(f"<li>{title}</li>" for title in titles)
    drift = (
        ""
        if summary["drift_judged"]
        else "<p>Drift was not judged: no version before was given.</p>"
    )
    return f"<section><h2>Nothing found</h2><ul class='quiet'>{entries}</ul>{drift}</section>"


def _stale(reviews: Sequence[Mapping[str, Any]]) -> str:
    if not reviews:
        return ""
    entries = "".join(
        f"<li><code>{review['finding'] or review['kind']}</code> {html.escape(review['why'])}"
        f" <small>({html.escape(review['who'])}, {review['when']})</small></li>"
        for review in reviews
    )
    return (
        "<section><h2>Stale reviews</h2><p class='lead'>No finding of this version is theirs: "
        f"they can go from the file.</p><ul>{entries}</ul></section>"
    )
