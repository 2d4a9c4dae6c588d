"""Checks predictions before anything is decided on them: broken evidence is never a pass."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mmedagent.cases.case import Case
from mmedagent.errors import BrokenEvidenceError
from mmedagent.evaluation.predictions import GREEDY, expected_digest, read_predictions

CHALLENGER = "challenger"


def read_evidence(
    predictions: Path, systems: Sequence[str], pool: str, cases: Sequence[Case] | None = None
) -> dict[str, pd.DataFrame]:
    """Return the greedy predictions of the challenger and `systems`, in one order of cases.

    Args:
        predictions: `predictions.parquet`, or the folder that holds it.
        systems: the systems that the policy compares with.
        pool: the pool that must have been measured.
        cases: the data version's cases; when given, the measured pool must be all of them.

    Raises `BrokenEvidenceError` when a system is missing, a case is missing, extra or there
    twice, systems differ in a case's gold, image or pool, or a row contradicts itself.
    """
    table, facts = read_predictions(predictions)
    if facts.get("pool") != pool:
        raise BrokenEvidenceError(
            f"{predictions}: measured on the pool {facts.get('pool')!r}, and the policy judges on"
            f" {pool!r} (gate.pool)"
        )
    table = table[(table["sample"] == GREEDY) & (table["pool"] == pool)]
    if table.empty:
        raise BrokenEvidenceError(f"{predictions}: no greedy predictions on the measured pool")
    _require_consistent(table, predictions)
    gold = {c.case_id: c.letter for c in cases or () if c.pool == pool}
    found = {}
    for name in dict.fromkeys((CHALLENGER, *systems)):
        rows = table[table["system"] == name].sort_values("case_id", ignore_index=True)
        if rows.empty:
            raise BrokenEvidenceError(f"{predictions}: no predictions of the system {name!r}")
        _require_cases(rows, name, facts.get("cases_digest"), predictions)
        answered = dict(zip(rows["case_id"], rows["gold_letter"], strict=True))
        if cases is not None and answered != gold:
            raise BrokenEvidenceError(
                f"{predictions}: the cases are not those of the data version's"
                f" pool {pool!r}: the predictions come from other data"
            )
        found[name] = rows
    _require_same_cases(found, predictions)
    return found


def _require_consistent(table: pd.DataFrame, path: Path) -> None:
    wrong = table[table["correct"] != (table["letter"] == table["gold_letter"])]
    if len(wrong):
        row = wrong.iloc[0]
        raise BrokenEvidenceError(
            f"{path}: {row['system']} on {row['case_id']} is marked"
            f" {'right' if row['correct'] else 'wrong'}, but its letter is {row['letter']} and"
            f" gold is {row['gold_letter']} ({len(wrong)} such rows): the file was altered"
        )


def _require_cases(rows: pd.DataFrame, name: str, expected: object, path: Path) -> None:
    twice = rows["case_id"][rows["case_id"].duplicated()]
    if len(twice):
        raise BrokenEvidenceError(
            f"{path}: {name} answers {twice.iloc[0]} more than once ({len(twice)} rows too many)"
        )
    if expected_digest(zip(rows["case_id"], rows["gold_letter"], strict=True)) != expected:
        raise BrokenEvidenceError(
            f"{path}: the {len(rows)} cases of {name} are not the cases that were measured:"
            " some are missing, added or have another gold answer"
        )


def _require_same_cases(found: dict[str, pd.DataFrame], path: Path) -> None:
    # Ids and gold are equal by their digest; the clusters must be equal too.
    columns = ["case_id", "image_digest", "subject"]
    first = found[CHALLENGER][columns]
    for name, rows in found.items():
        if not rows[columns].equals(first):
            raise BrokenEvidenceError(f"{path}: {name} and challenger differ in a case's image")
