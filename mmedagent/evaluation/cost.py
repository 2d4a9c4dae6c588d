"""What a consultation costs: specialist calls, tokens, seconds, stage by stage.

METHOD, section 'What reviewers and readers found missing', item 7.
"""

import json
from collections.abc import Iterable, Mapping

from mmedagent.consultation.doctor import Metered, Usage

FIGURES = (
    "specialist_calls",
    "prompt_tokens",
    "completion_tokens",
    "seconds",
    "specialist_seconds",
)

Spent = dict[str, float] | None
"""A stage's `replies`, `prompt_tokens`, `completion_tokens` and `seconds` per consultation; None
when who replied does not count what it spends."""
Cost = dict[str, Spent]
"""By stage; a stage that did not take place is left out."""


def usage_of(part: object) -> Usage | None:
    """Return what `part` has spent so far; None when it does not count."""
    return part.usage if isinstance(part, Metered) else None


def spent_since(part: object, before: Usage | None, cases: int) -> Spent:
    """Return what `part` spent since `before`, per case of `cases`."""
    now = usage_of(part)
    return None if now is None or before is None else per_case(now - before, cases)


def per_case(usage: Usage, cases: int) -> Spent:
    """Return a usage divided by the cases it was for."""
    return {
        "replies": usage.replies / cases,
        "prompt_tokens": usage.prompt_tokens / cases,
        "completion_tokens": usage.completion_tokens / cases,
        "seconds": usage.seconds / cases,
    }


def charge(cost: Cost) -> dict[str, str | float]:
    """Return the columns `seconds` (of triage and attending) and `cost` of a row."""
    doctors = [spent for stage, spent in cost.items() if stage != "panel"]
    seconds = sum(spent["seconds"] for spent in doctors if spent)
    return {"seconds": seconds, "cost": json.dumps(cost, sort_keys=True)}


def cost_of(text: str) -> Cost:
    """Read the column `cost` back."""
    cost: Cost = json.loads(text)
    return cost


def without(cost: Cost, *stages: str) -> Cost:
    """Return a cost less some stages."""
    return {stage: spent for stage, spent in cost.items() if stage not in stages}


def shared(cost: Cost, specialists: int) -> Cost:
    """Return a cost with the part of it that one of so many specialists is charged."""
    panel = cost.get("panel")
    if not panel:
        return cost
    return {**cost, "panel": {name: value / specialists for name, value in panel.items()}}


def mean_cost(costs: Iterable[Cost]) -> dict[str, float | None]:
    """Return the means per consultation; None where a stage took place and was not counted.

    `specialist_calls`: replies of specialists. `prompt_tokens`, `completion_tokens`: of all stages.
    `seconds`: of triage and attending, batched as measured. `specialist_seconds`: summed over the
    specialists' replies, each as long as it took when it was asked, whether now or from the store.
    """
    every = list(costs)
    figures: dict[str, list[float | None]] = {name: [] for name in FIGURES}
    for cost in every:
        doctors = [spent for stage, spent in cost.items() if stage != "panel"]
        panel = [cost["panel"]] if "panel" in cost else []
        figures["specialist_calls"].append(_total(panel, "replies"))
        figures["prompt_tokens"].append(_total([*doctors, *panel], "prompt_tokens"))
        figures["completion_tokens"].append(_total([*doctors, *panel], "completion_tokens"))
        figures["seconds"].append(_total(doctors, "seconds"))
        figures["specialist_seconds"].append(_total(panel, "seconds"))
    return {name: _mean(values) for name, values in figures.items()}


def _total(parts: Iterable[Mapping[str, float] | None], figure: str) -> float | None:
    counted = [None if part is None else part[figure] for part in parts]
    return None if None in counted else float(sum(value or 0.0 for value in counted))


def _mean(values: list[float | None]) -> float | None:
    if not values or None in values:
        return None
    return sum(value or 0.0 for value in values) / len(values)
