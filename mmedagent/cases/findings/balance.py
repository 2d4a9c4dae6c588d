"""What is too frequent: a specialty, an answer, a letter; and what moved since another version."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmedagent.cases.facts import Facts
from mmedagent.cases.findings.finding import KEPT_CASES, Finding
from mmedagent.recipes.data import ValidationRecipe

LEARNING_POOL = "train"
"""The pool whose balance matters: reinforcement learning starves rare classes."""
_LEAST_REPEATED = 3
"""An option list that occurs so often in one order alone has that order by construction."""
_LEAST_CASES = 20
"""With fewer cases nothing is said about letters or drift."""


def rare_specialties(facts: Facts, recipe: ValidationRecipe) -> Iterator[Finding]:
    """Yield the specialties of the train pool that the commonest outnumbers by images."""
    rows = facts.rows(
        "SELECT specialty, COUNT(DISTINCT image_digest) FROM cases WHERE pool = ?"
        " AND image_digest IS NOT NULL GROUP BY 1 ORDER BY 1",
        (LEARNING_POOL,),
    )
    images = {specialty: int(count) for specialty, count in rows}
    for specialty, count in images.items():
        imbalance = max(images.values()) / count
        if imbalance > recipe.max_imbalance:
            yield Finding(
                "specialty_imbalance",
                (str(specialty),),
                f"{specialty} has {count} train images, the commonest {max(images.values())}:"
                f" {imbalance:.2f} to 1, at most {recipe.max_imbalance:g}",
                _train_cases(facts, "specialty IS ?", (specialty,), imbalance),
                _train_count(facts, "specialty IS ?", (specialty,)),
            )


def frequent_answers(facts: Facts, recipe: ValidationRecipe) -> Iterator[Finding]:
    """Yield the answers that are right for nearly all closed train questions of their type."""
    rows = facts.rows(
        "SELECT question_type, answer, answer_key, COUNT(*),"
        " SUM(COUNT(*)) OVER (PARTITION BY question_type) FROM cases"
        " WHERE pool = ? AND answer_type = 'closed' GROUP BY question_type, answer ORDER BY 1, 2",
        (LEARNING_POOL,),
    )
    for kind, answer, key, count, total in rows:
        share = count / total
        if share > recipe.max_answer_share:
            where = "answer_type = 'closed' AND question_type IS ? AND answer IS ?"
            yield Finding(
                "answer_share",
                (str(kind), str(key)),
                f"one answer is right for {count} of {total} train questions of type {kind}:"
                f" {share:.2f}, at most {recipe.max_answer_share:g}",
                _train_cases(facts, where, (kind, answer), share),
                int(count),
            )


def _train_cases(
    facts: Facts, where: str, values: tuple[Any, ...], said: float
) -> tuple[tuple[int, Any], ...]:
    query = f"SELECT position FROM cases WHERE pool = ? AND {where} ORDER BY position LIMIT ?"
    rows = facts.rows(query, (LEARNING_POOL, *values, KEPT_CASES))
    return tuple((position, said) for (position,) in rows)


def _train_count(facts: Facts, where: str, values: tuple[Any, ...]) -> int:
    query = f"SELECT COUNT(*) FROM cases WHERE pool = ? AND {where}"
    return int(facts.one(query, (LEARNING_POOL, *values)))


def option_order(facts: Facts, recipe: ValidationRecipe) -> Iterator[Finding]:
    """Yield the letters that are right more often than shuffled options explain.

    Of each source and number of options: an exact binomial test of each letter against 1 / options,
    times the number of letters (Bonferroni). A list that is always in one order (yes, no; the
    starter set's) is left out: there the letter is the answer, which `answer_share` judges.
    """
    from scipy.stats import binomtest

    for (source, options), letters in _shuffled(facts).items():
        total = sum(letters.values())
        if total < _LEAST_CASES:
            continue
        for letter, count in sorted(letters.items()):
            test = binomtest(count, total, 1 / options, alternative="greater")
            chance = min(1.0, options * float(test.pvalue))
            if count / total - 1 / options > recipe.max_order_bias and chance < recipe.alpha:
                said = f"{letter} is right in {count / total:.2f} of {total} questions"
                rows = facts.rows(
                    "SELECT position FROM cases WHERE suite = ? AND options = ? AND letter = ?"
                    " ORDER BY position LIMIT ?",
                    (source, options, letter, KEPT_CASES),
                )
                yield Finding(
                    "option_order",
                    (source, str(options), letter),
                    f"{source}, {options} options: {said}, chance {1 / options:.2f}"
                    f" (p {_power(chance)})",
                    tuple((position, said) for (position,) in rows),
                    count,
                )


def _shuffled(facts: Facts) -> dict[tuple[str, int], dict[str, int]]:
    """Return (source, number of options) -> letter -> cases, of lists in no fixed order."""
    rows = facts.rows(
        "SELECT suite, options, letter, COUNT(*) FROM cases WHERE letter IS NOT NULL"
        " AND options_set NOT IN (SELECT options_set FROM cases WHERE letter IS NOT NULL"
        "  GROUP BY options_set HAVING COUNT(*) >= ? AND COUNT(DISTINCT options_key) = 1)"
        " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        (_LEAST_REPEATED,),
    )
    table: dict[tuple[str, int], dict[str, int]] = {}
    for source, options, letter, count in rows:
        table.setdefault((str(source), int(options)), {})[str(letter)] = int(count)
    return table


def drift(
    before: Mapping[str, Mapping[str, int]],
    after: Mapping[str, Mapping[str, int]],
    recipe: ValidationRecipe,
) -> Iterator[Finding]:
    """Yield the distributions that moved: name of the distribution -> category -> cases.

    Moved: the total variation distance is over `max_drift`, and a chi-square test of homogeneity
    finds it unlikelier than `alpha`. The finding's id holds both distributions, so that a review of
    one drift does not cover the next.
    """
    from mmedagent.cases.sets.distributions import distance

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
                f" {_power(chance)}; {sum(one.values())} cases before, {sum(two.values())} now",
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


def _power(chance: float) -> str:
    return "below 1e-12" if chance < 1e-12 else f"{chance:.1g}"


def read_before(path: Path) -> Mapping[str, Mapping[str, int]]:
    """Return the distributions of the version before, from its folder or `distributions.json`.

    Raises `BadDataError` when it is neither.
    """
    import json

    from mmedagent.errors import BadDataError

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
    from mmedagent.cases.sets.distributions import ANSWERS, distributions

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
