"""Every figure of an evaluation, computed from `predictions.parquet` and nothing else.

All accuracies are shares of 1 with percentile intervals from one clustered bootstrap, so that any
two of them are comparable draw by draw.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from mmedagent.digests import digest_file
from mmedagent.errors import BrokenEvidenceError
from mmedagent.evaluation.baselines import MAJORITY, RIGHT_ROLE, SPECIALIST, WRONG_ROLE
from mmedagent.evaluation.bootstrap import ClusteredBootstrap, Estimate
from mmedagent.evaluation.predictions import GREEDY, read_predictions
from mmedagent.evaluation.table_figures import (
    TRUST,
    add_trust,
    agreement_of_votes,
    cost_figures,
    letters_heard,
    trust_of,
)
from mmedagent.recipes.evaluation import EvaluationRecipe

GROUPS = ("tier", "modality", "specialty", "question_type")
TIERS = ("easy", "medium", "hard")
NONE = "none"
"""The confusion matrix's column for triage replies that named no specialty."""

Figures = dict[str, Any]


def compute_metrics(predictions: Path, recipe: EvaluationRecipe) -> Figures:
    """Return the content of `metrics.json`, as docs/evaluation.md describes it.

    Raises `BrokenEvidenceError` when the table cannot be read or lacks a system.
    """
    table, facts = read_predictions(predictions)
    about_roles = table["system"].str.startswith((RIGHT_ROLE, WRONG_ROLE))
    measured, selection = table[~about_roles], table[about_roles]
    systems = list(dict.fromkeys(measured["system"]))
    for name in ("challenger", "start", "champion", MAJORITY):
        if name not in systems:
            raise BrokenEvidenceError(f"{predictions}: no predictions of the system {name!r}")
    key = "image_digest" if recipe.cluster == "image" else "subject"
    settings = (recipe.resamples, recipe.seed, recipe.confidence)
    bootstrap = ClusteredBootstrap(measured[key], *settings)
    tables = {name: measured[measured["system"] == name] for name in systems}
    one = tables["challenger"][tables["challenger"]["sample"] == GREEDY]
    panel_letters = letters_heard(one)
    for name, rows in tables.items():
        _add_system(bootstrap, name, rows, key)
        add_trust(bootstrap, name, rows[rows["sample"] == GREEDY], panel_letters, key)
    bootstrap.run()
    images = measured.groupby("specialty")["image_digest"].nunique()
    barred = {str(s): bool(n >= recipe.bar_images) for s, n in images.items()}
    figures = {n: _system(bootstrap, n, rows, barred) for n, rows in tables.items()}
    best, panel = _panel(selection, key, settings)
    return {
        "schema": 1,
        "predictions_digest": digest_file(predictions),
        "pool": facts["pool"],
        "selection_pool": facts["selection_pool"],
        "cases": len(one),
        "images": int(one["image_digest"].nunique()),
        "subjects": int(one["subject"].nunique()),
        "cluster": recipe.cluster,
        "resamples": recipe.resamples,
        "confidence": recipe.confidence,
        "seed": recipe.seed,
        "bar_images": recipe.bar_images,
        "systems": figures,
        "best_specialist": best,
        "panel": panel,
        "differences": _differences(bootstrap, systems, SPECIALIST + best["name"]),
        "groups": {group: _sizes(one, group) for group in GROUPS},
    }


def _add_system(bootstrap: ClusteredBootstrap, name: str, rows: pd.DataFrame, key: str) -> None:
    greedy, sampled = rows[rows["sample"] == GREEDY], rows[rows["sample"] != GREEDY]

    def add(figure: str, part: pd.DataFrame, column: str) -> None:
        if len(part):
            values = part[column].astype(float).to_list()
            bootstrap.add(f"{name}|{figure}", part[key].to_list(), values)

    add("accuracy", greedy, "correct")
    add("sampled", sampled, "correct")
    for group in GROUPS:
        for value, part in greedy.groupby(group):
            add(f"{group}|{value}", part, "correct")
    if greedy["triage_correct"].notna().all():
        add("triage", greedy, "triage_correct")
        add("triage sampled", sampled, "triage_correct")
        for value, part in greedy.groupby("specialty"):
            add(f"triage|{value}", part, "triage_correct")


def _system(
    bootstrap: ClusteredBootstrap, name: str, rows: pd.DataFrame, barred: dict[str, bool]
) -> Figures:
    greedy = rows[rows["sample"] == GREEDY]

    def figure(key: str) -> Figures | None:
        full = f"{name}|{key}"
        return bootstrap.mean(full).to_dict() if full in bootstrap else None

    def macro(keys: Iterable[str]) -> Figures:
        return bootstrap.macro([f"{name}|{key}" for key in keys]).to_dict()

    groups = {g: _values(greedy, g) for g in GROUPS}
    specialties = groups["specialty"]
    result: Figures = {
        "cases": len(greedy),
        "answered": float(greedy["letter"].notna().mean()),
        "cost": cost_figures(greedy),
        "trust": trust_of(bootstrap, name, greedy),
        "agreement": agreement_of_votes(greedy),
        "accuracy": figure("accuracy"),
        "sampled": figure("sampled"),
        "macro": {g: macro(f"{g}|{v}" for v in groups[g]) for g in ("modality", "specialty")},
        **{group: {v: figure(f"{group}|{v}") for v in groups[group]} for group in GROUPS},
        "triage": None,
    }
    for specialty in specialties:
        result["specialty"][specialty]["carries_bar"] = barred[specialty]
    if f"{name}|triage" in bootstrap:
        recall = {s: figure(f"triage|{s}") for s in specialties}
        for specialty, value in recall.items():
            assert value is not None
            value["carries_bar"] = barred[specialty]
        result["triage"] = {
            "accuracy": figure("triage"),
            "sampled": figure("triage sampled"),
            "macro": macro(f"triage|{s}" for s in specialties),
            "specialty": recall,
            "confusion": _confusion(greedy),
        }
    return result


def _confusion(greedy: pd.DataFrame) -> Figures:
    """Return counts[gold][chosen] over the specialties that occur, and `none`."""
    chosen = greedy["chosen_specialty"].fillna(NONE)
    gold = sorted(set(greedy["specialty"]))
    named = gold + sorted(set(chosen) - set(gold) - {NONE})
    columns = [*named, NONE] if NONE in set(chosen) else named
    counts = pd.crosstab(greedy["specialty"], chosen).reindex(
        index=gold, columns=columns, fill_value=0
    )
    return {"gold": gold, "chosen": columns, "counts": counts.to_numpy().tolist()}


def _panel(
    selection: pd.DataFrame, key: str, settings: tuple[int, int, float]
) -> tuple[Figures, Figures]:
    """Return the best specialist, chosen on the selection pool, and the effect of the role."""
    if selection.empty:
        raise BrokenEvidenceError("no predictions on the selection pool: who is best is unknown")
    bootstrap = ClusteredBootstrap(selection[key], *settings)
    right = selection[selection["system"].str.startswith(RIGHT_ROLE)]
    wrong = selection[selection["system"].str.startswith(WRONG_ROLE)]
    parts = {"right": right, "wrong": wrong}
    parts |= {str(name): part for name, part in selection.groupby("system")}
    for name, part in parts.items():
        if len(part):
            values = part["correct"].astype(float).to_list()
            bootstrap.add(name, part[key].to_list(), values)
    bootstrap.run()
    names = [s.removeprefix(RIGHT_ROLE) for s in dict.fromkeys(right["system"])]
    single = {n: bootstrap.mean(RIGHT_ROLE + n) for n in names}
    best = max(single, key=lambda n: single[n].value)
    effect: Figures = {}
    if len(wrong):
        effect = {
            "right": bootstrap.mean("right").to_dict(),
            "wrong": bootstrap.mean("wrong").to_dict(),
            "difference": bootstrap.difference("right", "wrong").to_dict(),
            "specialists": {
                n: bootstrap.difference(RIGHT_ROLE + n, WRONG_ROLE + n).to_dict() for n in names
            },
        }
    pool = str(selection["pool"].iloc[0])
    chosen = {n: estimate.to_dict() for n, estimate in single.items()}
    return {"name": best, "chosen_on": pool, "accuracy": chosen}, {"role_effect": effect}


def _differences(bootstrap: ClusteredBootstrap, systems: list[str], best: str) -> Figures:
    """Return the challenger minus each other system, paired, in each figure both have."""
    result: Figures = {}
    for other in systems:
        if other == "challenger":
            continue
        pairs = {
            figure: (f"challenger|{key}", f"{other}|{key}")
            for figure, key in (
                ("accuracy", "accuracy"),
                ("sampled", "sampled"),
                ("triage", "triage"),
                ("triage_sampled", "triage sampled"),
                *((tier, f"tier|{tier}") for tier in TIERS),
                *((rate, rate) for rate in TRUST),
            )
        }
        result[other] = {
            figure: bootstrap.difference(*pair).to_dict()
            for figure, pair in pairs.items()
            if all(name in bootstrap for name in pair)
        }
    if best in result:
        result["best_specialist"] = result[best]
    return result


def _values(rows: pd.DataFrame, group: str) -> list[str]:
    values = sorted({str(v) for v in rows[group].dropna()})
    return [t for t in TIERS if t in values] if group == "tier" else values


def _sizes(rows: pd.DataFrame, group: str) -> Figures:
    return {
        str(value): {
            "cases": len(part),
            "images": int(part["image_digest"].nunique()),
            "subjects": int(part["subject"].nunique()),
        }
        for value, part in rows.groupby(group)
    }


__all__ = ["NONE", "TIERS", "Estimate", "compute_metrics"]
