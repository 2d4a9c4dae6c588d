"""What a table of predictions says beside accuracy: trust in the panel, cost, votes."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mmedagent.evaluation.baselines import SPECIALIST
from mmedagent.evaluation.bootstrap import ClusteredBootstrap
from mmedagent.evaluation.cost import cost_of, mean_cost
from mmedagent.evaluation.trust import abandoned_right, followed_wrong, letter_array

FOLLOWS = "follows_wrong_consensus"
ABANDONS = "abandons_right_consensus"
TRUST = (FOLLOWS, ABANDONS)

Letters = list[str | None]


def letters_heard(greedy: pd.DataFrame) -> dict[str, Letters]:
    """Return the specialists' letters by case; a case without opinions is left out."""
    heard = {
        str(case_id): [opinion["letter"] for opinion in json.loads(text)]
        for case_id, text in zip(greedy["case_id"], greedy["opinions"], strict=True)
    }
    return {case_id: letters for case_id, letters in heard.items() if letters}


def add_trust(
    bootstrap: ClusteredBootstrap,
    name: str,
    greedy: pd.DataFrame,
    panel: Mapping[str, Letters],
    key: str,
) -> None:
    """Add a system's two rates to `bootstrap`, over the cases where the panel was unanimous.

    Of the opinions that the system heard; of `panel`, by case, for one that heard none: then the
    rates say how often it comes to the same by itself. A single specialist is asked for nothing.
    """
    if name.startswith(SPECIALIST):
        return
    heard = letters_heard(greedy) or panel
    if not heard:
        return
    said = [heard[case_id] for case_id in greedy["case_id"]]
    opinions = [letter_array(column) for column in zip(*said, strict=True)]
    decided, gold = letter_array(greedy["letter"]), letter_array(greedy["gold_letter"])
    values = {
        FOLLOWS: followed_wrong(decided, gold, opinions),
        ABANDONS: abandoned_right(decided, gold, opinions),
    }
    for figure, each in values.items():
        counted = ~np.isnan(each)
        if counted.any():
            clusters = greedy[key][counted].to_list()
            bootstrap.add(f"{name}|{figure}", clusters, each[counted].tolist())


def trust_of(
    bootstrap: ClusteredBootstrap, name: str, greedy: pd.DataFrame
) -> dict[str, Any] | None:
    """Return a system's rates; None for a single specialist, or where no panel was unanimous."""
    found = {figure: f"{name}|{figure}" for figure in TRUST}
    if not any(full in bootstrap for full in found.values()):
        return None
    rates = {
        figure: bootstrap.mean(full).to_dict() if full in bootstrap else None
        for figure, full in found.items()
    }
    return {"heard": bool(letters_heard(greedy)), **rates}


def cost_figures(greedy: pd.DataFrame) -> dict[str, float | None]:
    """Return what one consultation of a system costs on average: `evaluation.cost.mean_cost`."""
    return mean_cost(cost_of(text) for text in greedy["cost"])


def agreement_of_votes(greedy: pd.DataFrame) -> dict[str, float | None] | None:
    """Return a vote's mean agreement, over all cases, right ones and wrong ones; None without."""
    if greedy["agreement"].isna().all():
        return None
    right = greedy["correct"].astype(bool)
    parts = {"mean": greedy, "right": greedy[right], "wrong": greedy[~right]}
    return {
        name: float(part["agreement"].mean()) if len(part) else None for name, part in parts.items()
    }
