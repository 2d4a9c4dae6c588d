"""The exit handler's work: `report.html` and `summary.json` of a run, whatever exists of it."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from mmedagent.atomic import write_json, write_text
from mmedagent.errors import UsageError
from mmedagent.report.charts import (
    accuracy_chart,
    confusion_chart,
    curve_chart,
    forest_chart,
)
from mmedagent.report.curves import CHARTS
from mmedagent.report.dag import dag_drawing
from mmedagent.report.page import render
from mmedagent.report.summary import summarise

Figures = Mapping[str, Any]

_COMPARED = ("challenger", "champion", "start", "panel_majority")
_TIERS = (("accuracy", "All cases"), ("easy", "Easy"), ("medium", "Medium"), ("hard", "Hard"))
_TIER_NOTES = {
    "easy": "all specialists right",
    "medium": "specialists disagree",
    "hard": "all specialists wrong",
}


def write_report(run: Path) -> Path:
    """Write `report.html` and `summary.json` into the folder `run`; return the page's path.

    A run that failed anywhere gets a page that says where and why. Raises `UsageError` when `run`
    is no folder.
    """
    if not run.is_dir():
        raise UsageError(f"{run}: no such run")
    run = run.resolve()
    summary, images = summarise(run)
    write_json(run / "summary.json", summary)
    page = run / "report.html"
    write_text(page, report_page(summary, images))
    return page


def report_page(summary: Figures, images: Mapping[str, bytes]) -> str:
    """Return the page for `summary`; `images` are the examples' encoded images by digest."""
    return render(
        "report.html.j2",
        summary=summary,
        images={digest: _data_uri(image) for digest, image in images.items()},
        charts=_charts(summary),
    )


def _charts(summary: Figures) -> dict[str, Any]:
    metrics, verdict = summary["metrics"], summary["verdict"]
    charts: dict[str, Any] = {
        "dag": dag_drawing(summary["tasks"]),
        "curves": _curves(summary["curves"]),
        "forest": forest_chart(verdict["rows"]) if verdict else None,
        "tiers": [],
        "modalities": None,
        "confusion": None,
    }
    if metrics:
        charts["tiers"] = _tiers(metrics)
        charts["modalities"] = _modalities(metrics)
        charts["confusion"] = confusion_chart(
            metrics["systems"]["challenger"]["triage"]["confusion"]
        )
    return charts


def _curves(curves: list[Figures]) -> list[dict[str, Any]]:
    shown = []
    for agent in ("triage", "attending"):
        own = [curve for curve in curves if curve["agent"] == agent]
        if own:
            charts = []
            for key, title in CHARTS:
                parts = [(c["stage"], c["series"].get(key, [])) for c in own]
                charts.append({"title": title, "svg": curve_chart(f"{agent}: {title}", parts)})
            shown.append({"agent": agent, "charts": charts})
    return shown


def _tiers(metrics: Figures) -> list[dict[str, Any]]:
    best = f"specialist:{metrics['best_specialist']['name']}"
    panels = []
    for tier, title in _TIERS:
        rows = []
        for system in (*_COMPARED, best):
            figures = metrics["systems"][system]
            estimate = figures[tier] if tier == "accuracy" else figures["tier"].get(tier)
            if estimate:
                label = "best specialist" if system == best else _short_label(system)
                rows.append((label, "best_specialist" if system == best else system, estimate))
        if rows:
            note = _TIER_NOTES.get(tier, "")
            count = rows[0][2]["n"]
            chart = accuracy_chart(f"Accuracy, {title}", rows)
            panels.append({"title": title, "note": note, "n": count, "svg": chart})
    return panels


def _modalities(metrics: Figures) -> list[dict[str, Any]]:
    own, panel = metrics["systems"]["challenger"], metrics["systems"]["panel_majority"]
    return [
        {
            "title": title,
            "svg": accuracy_chart(
                f"Accuracy by modality: {title}",
                [
                    (_modality_label(name, metrics), system, estimate)
                    for name, estimate in figures["modality"].items()
                ],
            ),
        }
        for title, system, figures in (
            ("Challenger", "challenger", own),
            ("Panel majority", "panel_majority", panel),
        )
    ]


def _modality_label(name: str, metrics: Figures) -> str:
    images = metrics["groups"]["modality"][name]["images"]
    return f"{name} ({images}){'*' if images < metrics['bar_images'] else ''}"


def _short_label(system: str) -> str:
    return {"panel_majority": "panel majority"}.get(system, system)


def _data_uri(image: bytes) -> Markup:
    kind = "jpeg" if image[:2] == b"\xff\xd8" else "png"
    return Markup(f"data:image/{kind};base64,{base64.b64encode(image).decode()}")
