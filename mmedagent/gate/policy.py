"""The statistics of one comparison: what an interval says, and what it could have said.

Superiority and non-inferiority by intervals: ICH E9 (1998), section 3.3. The interval is a
percentile interval of the paired bootstrap over clusters (images, or subjects).
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd
from scipy.stats import norm

from mmedagent.evaluation.bootstrap import ClusteredBootstrap
from mmedagent.recipes.gate import GateRecipe

Outcome = Literal["pass", "fail", "underpowered"]
Comparison = Literal["superior", "not inferior"]


@dataclass(frozen=True)
class Row:
    """One comparison and what it showed. Differences are challenger minus `name`, shares of 1."""

    name: str
    comparison: Comparison
    metric: str
    n: int
    clusters: int
    challenger: float
    other: float
    difference: float
    lower: float
    upper: float
    margin: float
    """What the interval's lower end must exceed; negative where a loss is accepted."""
    detectable: float
    """The smallest true effect that this evaluation would find with the policy's power."""
    verdict: Outcome
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Return the row as it stands in verdict.json."""
        return asdict(self)


def compare(
    evidence: dict[str, pd.DataFrame], name: str, comparison: Comparison, recipe: GateRecipe
) -> Row:
    """Compare the challenger with `name` by accuracy, paired case by case."""
    challenger, other = evidence["challenger"], evidence[name]
    key = "image_digest" if recipe.cluster == "image" else "subject"
    clusters = challenger[key].to_list()
    bootstrap = ClusteredBootstrap(clusters, recipe.resamples, recipe.seed, 1 - recipe.alpha)
    bootstrap.add("challenger", clusters, challenger["correct"].astype(float).to_list())
    bootstrap.add("other", clusters, other["correct"].astype(float).to_list())
    bootstrap.run()
    difference = bootstrap.difference("challenger", "other")
    detectable = detectable_effect(difference.standard_error, recipe)
    margin = recipe.superiority if comparison == "superior" else -recipe.margin
    effect = recipe.effect_of_interest if comparison == "superior" else recipe.margin
    small = difference.n < recipe.min_cases or difference.clusters < recipe.min_clusters
    verdict = outcome(difference.lower, difference.upper, margin, detectable > effect, small)
    row = Row(
        name=name,
        comparison=comparison,
        metric="accuracy",
        n=difference.n,
        clusters=difference.clusters,
        challenger=bootstrap.mean("challenger").value,
        other=bootstrap.mean("other").value,
        difference=difference.value,
        lower=difference.lower,
        upper=difference.upper,
        margin=margin,
        detectable=detectable,
        verdict=verdict,
        reason="",
    )
    return Row(**{**row.to_dict(), "reason": _reason(row, effect, small, recipe)})


def detectable_effect(standard_error: float, recipe: GateRecipe) -> float:
    """Return (z of 1 - alpha/2 + z of power) x standard error: a normal approximation."""
    return float((norm.ppf(1 - recipe.alpha / 2) + norm.ppf(recipe.power)) * standard_error)


def outcome(lower: float, upper: float, margin: float, insensitive: bool, small: bool) -> Outcome:
    """Decide one comparison.

    `small`: too few cases or clusters; nothing is decided on them, whatever the interval says.
    An interval above `margin` passes, one wholly at or below it fails. One that holds the margin
    decides nothing if the evaluation is `insensitive` (it would have missed the effect in
    question), and is a fail if it is not: the effect was looked for with enough power.
    """
    if small:
        return "underpowered"
    if lower > margin:
        return "pass"
    if upper <= margin or not insensitive:
        return "fail"
    return "underpowered"


def _reason(row: Row, effect: float, small: bool, recipe: GateRecipe) -> str:
    other = row.name.replace("_", " ")
    seen = (
        f"The challenger answers {row.challenger:.1%} of {row.n} cases right, the {other}"
        f" {row.other:.1%}: a difference of {points(row.difference)} points"
        f" ({1 - recipe.alpha:.0%} interval {points(row.lower)} to {points(row.upper)})."
    )
    if small:
        return (
            f"{seen} {row.n} cases on {row.clusters} {recipe.cluster}s are fewer than the policy's"
            f" {recipe.min_cases} on {recipe.min_clusters}: too few to decide anything."
        )
    if row.comparison == "not inferior":
        wanted = f"that it loses no more than {100 * recipe.margin:.1f} points"
    elif row.margin > 0:
        wanted = f"that it is better by more than {100 * row.margin:.1f} points"
    else:
        wanted = "that it is better"
    if row.verdict == "pass":
        return f"{seen} Even the interval's lower end says {wanted}."
    if row.upper <= row.margin:
        return f"{seen} The whole interval speaks against the claim {wanted}."
    power = (
        f"An effect of {100 * row.detectable:.1f} points would be found with"
        f" {recipe.power:.0%} power; the policy asks for {100 * effect:.1f}"
    )
    if row.verdict == "fail":
        return f"{seen} The interval does not show {wanted}. {power}: large enough to have seen it."
    return f"{seen} The interval cannot decide {wanted}. {power}: more cases are needed."


def points(share: float) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return f"{100 * share:+.1f}".replace("-", "−")
