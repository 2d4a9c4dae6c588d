"""Twelve consultations to look at, drawn by a fixed rule so that nobody picks the pretty ones."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from mmedagent.cases.case import Case
from mmedagent.consultation.consult import majority_vote
from mmedagent.digests import digest_value
from mmedagent.evaluation.predictions import GREEDY, opinions_of

EXAMPLES = 12
OVERRULED = 4
TIER_ORDER = ("easy", "medium", "hard")

RULE = (
    "Drawn by a fixed rule, not picked: cases in the order of a hash of their ids, one an image;"
    " first those in which the attending overruled the panel's majority, two right and two wrong"
    " where there are such, then easy, medium and hard ones in turn."
)


def choose_examples(table: pd.DataFrame, pool: str) -> list[dict[str, Any]]:
    """Return the challenger's rows to show, those that overrule the panel first."""
    greedy = table[
        (table["system"] == "challenger") & (table["sample"] == GREEDY) & (table["pool"] == pool)
    ]
    rows = greedy.astype(object).where(greedy.notna(), None).to_dict("records")
    rows.sort(key=lambda row: digest_value(["example", row["case_id"]]))
    for row in rows:
        row["majority_letter"] = majority_vote(opinions_of(row["opinions"]))
        row["overruled"] = None not in (row["letter"], row["majority_letter"]) and (
            row["letter"] != row["majority_letter"]
        )
    chosen = _Chosen()
    for correct in (True, False):
        against = (row for row in rows if row["overruled"] and row["correct"] == correct)
        chosen.take(against, OVERRULED // 2)
    chosen.take((row for row in rows if row["overruled"]), OVERRULED - len(chosen.rows))
    rest = [row for row in rows if not row["overruled"]]
    for number in range(EXAMPLES):
        if len(chosen.rows) == EXAMPLES:
            break
        tier = TIER_ORDER[number % 3]
        chosen.take((row for row in rest if row["tier"] == tier), 1)
    chosen.take(rows, EXAMPLES - len(chosen.rows))
    return chosen.rows


def count_overruled(table: pd.DataFrame, pool: str) -> dict[str, int]:
    """Return how often the challenger overruled the panel's majority, and was right to."""
    every = table[table["pool"] == pool]
    letters = {
        system: every[(every["system"] == system) & (every["sample"] == GREEDY)].set_index(
            "case_id"
        )
        for system in ("challenger", "panel_majority")
    }
    own = letters["challenger"]
    other = letters["panel_majority"]["letter"].reindex(own.index)
    against = own["letter"].notna() & other.notna() & (own["letter"] != other)
    right = int((against & own["correct"]).sum())
    panel_right = int((against & (other == own["gold_letter"])).sum())
    return {
        "cases": int(against.sum()),
        "attending_right": right,
        "panel_right": panel_right,
        "both_wrong": int(against.sum()) - right - panel_right,
    }


def example(row: Mapping[str, Any], case: Case) -> dict[str, Any]:
    """Return one consultation as summary.json holds it."""
    opinions = opinions_of(row["opinions"])
    return {
        "case_id": case.case_id,
        "image_digest": case.image_digest,
        "question": case.question,
        "options": list(case.options),
        "gold_letter": case.letter,
        "gold_specialty": case.specialty,
        "modality": case.modality,
        "source": case.source,
        "tier": row["tier"],
        "chosen_specialty": row["chosen_specialty"],
        "opinions": [
            {
                "specialist": opinion.specialist,
                "role": opinion.role,
                "letter": opinion.letter,
                "reasoning": opinion.reasoning,
                "correct": opinion.letter == case.letter,
            }
            for opinion in opinions
        ],
        "majority_letter": row["majority_letter"],
        "letter": row["letter"],
        "correct": bool(row["correct"]),
        "reasoning": row["reasoning"],
        "overruled": bool(row["overruled"]),
    }


class _Chosen:
    """Rows taken so far; a case or an image is taken once."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._images: set[str] = set()

    def take(self, candidates: Any, most: int) -> None:
        """Take up to `most` of `candidates` whose image was not taken."""
        for row in candidates:
            if most <= 0:
                return
            if row["image_digest"] not in self._images:
                self._images.add(row["image_digest"])
                self.rows.append(row)
                most -= 1
