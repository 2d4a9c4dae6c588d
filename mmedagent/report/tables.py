"""The report's tables: baselines, and the data by specialty and pool."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmedagent.cases.case import POOLS, SPECIALTIES, Case
from mmedagent.evaluation.published import ABLATION, SETS

Figures = Mapping[str, Any]

LABELS = {
    "challenger": "challenger",
    "champion": "champion",
    "start": "start (warm start only)",
    "panel_majority": "panel majority vote",
    "no_attending_rl": "trained triage, attending's start",
    "easy_only": "attending after the easy stage",
    "easy_and_medium": "attending after the medium stage",
    "without_c_marl": "without C-MARL (plain GRPO, shuffled)",
    "supervised_with_opinions": "supervised attending",
    "without_specialists": "challenger without opinions",
    "supervised_without_opinions": "supervised attending without opinions",
    "self_vote": "vote of the attending without opinions",
    "challenger_vote": "vote of the challenger",
    "random_specialty": "panel asked as a random specialty",
    "all_specialties": "panel asked as every specialty",
    "gold_specialty": "panel asked as the gold specialty (oracle)",
    "triage_classifier": "triage by a plain classifier",
    "triage_supervised": "triage fine-tuned on gold",
    "text_only": "challenger, grey image",
    "options_permuted": "challenger, options permuted",
}
ORACLES = ("gold_specialty",)
"""Systems that are told what no deployed one knows: upper bounds, not competitors."""


def baselines(metrics: Figures) -> list[dict[str, Any]]:
    """Return one row a system: the challenger first, then what it is compared with."""
    systems = metrics["systems"]
    best = f"specialist:{metrics['best_specialist']['name']}"
    order = [*LABELS, best, *sorted(set(systems) - set(LABELS) - {best})]
    rows = []
    for name in (name for name in order if name in systems):
        figures = systems[name]
        difference = metrics["differences"].get(name)
        rows.append(
            {
                "system": name,
                "label": _label(name, best),
                "n": figures["cases"],
                "accuracy": figures["accuracy"],
                "sampled": figures["sampled"],
                "macro_specialty": figures["macro"]["specialty"],
                "triage": figures["triage"] and figures["triage"]["accuracy"],
                "difference": difference and difference["accuracy"],
                "answered": figures["answered"],
                "oracle": name in ORACLES,
                "cost": figures["cost"],
                "trust": figures["trust"],
                "agreement": figures["agreement"],
            }
        )
    return rows


def ablation(metrics: Figures) -> list[dict[str, Any]]:
    """Return the paper's ablation rows that were measured here, its figures beside ours.

    Empty when nothing but the full system was. `difference` is challenger minus the row, paired.
    """
    systems = metrics["systems"]
    rows = []
    for row in ABLATION:
        if row.system in systems:
            difference = metrics["differences"].get(row.system)
            rows.append(
                {
                    "title": row.title,
                    "system": row.system,
                    "published": dict(zip(SETS, row.percent, strict=True)),
                    "accuracy": systems[row.system]["accuracy"],
                    "difference": difference and difference["accuracy"],
                }
            )
    return rows if len(rows) > 1 else []


def key_figures(metrics: Figures) -> list[dict[str, Any]]:
    """Return the figures at the top of the page, each with what it is."""
    systems, differences = metrics["systems"], metrics["differences"]
    own = systems["challenger"]
    start = differences["start"]
    tiles = [
        ("Consultations answered right", "percent", own["accuracy"]),
        ("Over the panel's majority vote", "points", differences["panel_majority"]["accuracy"]),
        ("Over the best single specialist", "points", differences["best_specialist"]["accuracy"]),
        ("Over its own start", "points", start["accuracy"]),
        ("Over its own start, sampled", "points", start.get("sampled")),
        ("Easy cases answered right", "percent", own["tier"].get("easy")),
        ("Specialty chosen right", "percent", own["triage"]["accuracy"]),
        ("Specialty over start, sampled", "points", start.get("triage_sampled")),
    ]
    return [
        {"name": name, "unit": unit, "estimate": estimate}
        for name, unit, estimate in tiles
        if estimate is not None
    ]


def data_table(cases: Sequence[Case], pool: str, bar_images: int) -> dict[str, Any]:
    """Return cases, images and subjects by specialty and pool.

    `carries_bar` says whether the specialty has at least `bar_images` images in `pool`.
    """
    rows: list[dict[str, Any]] = []
    for specialty in SPECIALTIES:
        own = [case for case in cases if case.specialty == specialty]
        if own:
            pools: dict[str, dict[str, int]] = {
                p: _sizes([c for c in own if c.pool == p]) for p in POOLS
            }
            carries = pools[pool]["images"] >= bar_images
            rows.append({"specialty": specialty, "pools": pools, "carries_bar": carries})
    totals = {p: _sizes([c for c in cases if c.pool == p]) for p in POOLS}
    every = _sizes(cases)
    return {"rows": rows, "totals": totals, "all": every, "measured_pool": pool}


def _sizes(cases: Sequence[Case]) -> dict[str, int]:
    return {
        "cases": len(cases),
        "images": len({case.image_digest for case in cases}),
        "subjects": len({case.subject for case in cases}),
        "modalities": len({case.modality for case in cases}),
    }


def _label(name: str, best: str) -> str:
    if name in LABELS:
        return LABELS[name]
    specialist = name.removeprefix("specialist:")
    return f"best specialist ({specialist})" if name == best else f"specialist {specialist}"
