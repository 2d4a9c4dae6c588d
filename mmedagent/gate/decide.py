"""The step `gate`: may the challenger replace the champion? pass, fail or underpowered.

The verdict is a file that the following steps read; none of them may treat a missing or unread
verdict as an answer.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmedagent.atomic import new_folder, write_json, write_text
from mmedagent.cases.case import Case
from mmedagent.digests import digest_file, digest_value
from mmedagent.errors import BrokenEvidenceError, ExitCode
from mmedagent.gate.evidence import read_evidence
from mmedagent.gate.policy import Outcome, Row, compare
from mmedagent.recipes.gate import GateRecipe

EXIT_CODES: dict[Outcome, ExitCode] = {
    "pass": ExitCode.OK,
    "fail": ExitCode.FAIL,
    "underpowered": ExitCode.UNDERPOWERED,
}

SENTENCES: dict[Outcome, str] = {
    "pass": "The challenger may replace the champion.",
    "fail": "The challenger may not replace the champion.",
    "underpowered": "The evidence cannot decide: the champion stays.",
}


@dataclass(frozen=True)
class Verdict:
    """The gate's decision with its evidence."""

    verdict: Outcome
    reasons: tuple[str, ...]
    rows: tuple[Row, ...]
    policy: dict[str, Any]
    policy_digest: str
    predictions_digest: str

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a command that ends with this verdict."""
        return EXIT_CODES[self.verdict]

    @property
    def sentence(self) -> str:
        """The decision in one sentence."""
        return SENTENCES[self.verdict]

    def to_dict(self) -> dict[str, Any]:
        """Return the content of verdict.json."""
        return {
            "schema": 1,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "reasons": list(self.reasons),
            "rows": [row.to_dict() for row in self.rows],
            "policy": self.policy,
            "policy_digest": self.policy_digest,
            "predictions_digest": self.predictions_digest,
        }


def decide(
    predictions: Path, recipe: GateRecipe, out: Path, cases: list[Case] | None = None
) -> Verdict:
    """Judge the challenger and write `verdict.json` and `verdict.html` into the new folder `out`.

    Args:
        predictions: `predictions.parquet`, or the folder that holds it.
        recipe: the policy.
        out: output folder.
        cases: the data version's cases, to check the predictions against; optional.

    Raises `BrokenEvidenceError` (exit 12) when the evidence is missing, altered or incomplete;
    nothing is written then.
    """
    from mmedagent.gate.page import verdict_page

    compared = (*recipe.superior_to, *recipe.not_inferior_to)
    evidence = read_evidence(predictions, compared, recipe.pool, cases)
    rows = tuple(
        [compare(evidence, name, "superior", recipe) for name in recipe.superior_to]
        + [compare(evidence, name, "not inferior", recipe) for name in recipe.not_inferior_to]
    )
    if not rows:
        raise BrokenEvidenceError("the policy compares with nothing: that can be no verdict")
    policy = recipe.model_dump(mode="json")
    file = predictions / "predictions.parquet" if predictions.is_dir() else predictions
    verdict = Verdict(
        verdict=overall([row.verdict for row in rows]),
        reasons=tuple(row.reason for row in rows),
        rows=rows,
        policy=policy,
        policy_digest=digest_value(policy),
        predictions_digest=digest_file(file),
    )
    with new_folder(out) as folder:
        write_json(folder / "verdict.json", verdict.to_dict())
        write_text(folder / "verdict.html", verdict_page(verdict.to_dict()))
    return verdict


def overall(outcomes: list[Outcome]) -> Outcome:
    """Return `fail` if any part failed, else `underpowered` if any was, else `pass`."""
    if "fail" in outcomes:
        return "fail"
    return "underpowered" if "underpowered" in outcomes else "pass"


def read_verdict(path: Path) -> dict[str, Any]:
    """Return the content of verdict.json, which stands at `path` or in the folder `path`.

    Raises `BrokenEvidenceError` when it is missing, unreadable or not a verdict.
    """
    file = path / "verdict.json" if path.is_dir() else path
    try:
        value: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise BrokenEvidenceError(f"{file}: no readable verdict ({error})") from error
    if not isinstance(value, dict) or value.get("verdict") not in EXIT_CODES:
        raise BrokenEvidenceError(f"{file}: says neither pass, fail nor underpowered")
    outcomes = [row.get("verdict") for row in value.get("rows", [])]
    if not outcomes or overall(outcomes) != value["verdict"]:
        raise BrokenEvidenceError(f"{file}: the verdict does not follow from its rows")
    return value
