"""How far the distributions of a data version are from those of the version before."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmedagent.cases.findings.finding import Finding, unlikely
from mmedagent.cases.sets.distributions import ANSWERS, distance, distributions
from mmedagent.errors import BadDataError
from mmedagent.recipes.data import ValidationRecipe

Distributions = Mapping[str, Mapping[str, int]]
"""Name of a distribution -> category -> cases."""
_LEAST_CASES = 20
"""With fewer cases in either version nothing is said about a distribution."""


def drift(
    before: Distributions,
    after: Distributions,
    recipe: ValidationRecipe,
) -> Iterator[Finding]:
    """Yield the distributions that moved between two versions.

    Moved: the total variation distance is over `max_drift`, and a chi-square test of homogeneity
    finds it unlikelier than `alpha`. The finding's id holds both distributions, so that a review of
    one drift does not cover the next.
    """
    for name in sorted({*before, *after}):
        one, two = before.get(name, {}), after.get(name, {})
        if min(sum(one.values()), sum(two.values())) < _LEAST_CASES:
            continue
        moved = distance(one, two)
        if moved <= recipe.max_drift:
            continue
        chance = _homogeneity(one, two)
        if chance < recipe.alpha:
            yield Finding(
                "drift",
                (name, *(f"{key}={value}" for key, value in sorted([*one.items(), *two.items()]))),
                f"{name}: total variation {moved:.2f}, at most {recipe.max_drift:g};"
                f" Jensen-Shannon {_jensen_shannon(one, two):.2f} bit; chi-square p"
                f" {unlikely(chance)}; {sum(one.values())} cases before, {sum(two.values())} now",
                count=sum(two.values()),
            )


def _homogeneity(one: Mapping[str, int], two: Mapping[str, int]) -> float:
    from scipy.stats import chi2_contingency

    keys = sorted({*one, *two})
    table = [[counts.get(key, 0) for key in keys] for counts in (one, two)]
    return float(chi2_contingency(table).pvalue) if len(keys) > 1 else 1.0


def _jensen_shannon(one: Mapping[str, int], two: Mapping[str, int]) -> float:
    """Return the Jensen-Shannon divergence in bits, 0 to 1."""
    totals = sum(one.values()), sum(two.values())
    divergence = 0.0
    for key in {*one, *two}:
        p, q = one.get(key, 0) / totals[0], two.get(key, 0) / totals[1]
        middle = (p + q) / 2
        divergence += sum(share * math.log2(share / middle) / 2 for share in (p, q) if share)
    return divergence


def read_before(path: Path) -> Distributions:
    """Return the distributions of the version before, from its folder or `distributions.json`.

    Raises `BadDataError` when it is neither.
    """
    if path.is_dir():
        return distributions_of(path)
    try:
        content = json.loads(path.read_bytes())
        return {
            str(name): {str(key): int(count) for key, count in counts.items()}
            for name, counts in content["distributions"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadDataError(
            f"{path} has no distributions: {type(error).__name__}. Give a data version's folder,"
            " or the `distributions.json` of its validation"
        ) from None


def distributions_of(folder: Path) -> dict[str, dict[str, int]]:
    """Return what drift is judged by: categories, and the answers of each question type."""
    counted = distributions(folder, images=False).categories
    found = {name: dict(counts) for name, counts in counted.items() if name != ANSWERS}
    for kind in found["question_type"]:
        start = f"{kind}: "
        answers = {
            k.removeprefix(start): n for k, n in counted[ANSWERS].items() if k.startswith(start)
        }
        if answers:
            found[f"answers to {kind}"] = answers
    return found
