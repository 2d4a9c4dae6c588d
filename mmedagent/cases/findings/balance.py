"""What is too frequent in a data set: a specialty, an answer, a letter."""

from collections.abc import Iterator
from typing import Any

from mmedagent.cases.facts import Facts
from mmedagent.cases.findings.finding import KEPT_CASES, Finding, unlikely
from mmedagent.recipes.data import ValidationRecipe

LEARNING_POOL = "train"
"""The pool whose balance matters: reinforcement learning starves rare classes."""
_LEAST_REPEATED = 3
"""An option list that occurs so often in one order alone has that order by construction."""
_LEAST_CASES = 20
"""With fewer cases nothing is said about letters."""


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
                    f" (p {unlikely(chance)})",
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
