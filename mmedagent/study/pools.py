"""Which cases a study looks at: whole pools, or a few images of each for a quick look."""

from collections.abc import Collection, Sequence

from mmedagent.cases.case import Case
from mmedagent.cases.store import read_multiple_choice
from mmedagent.errors import BadDataError
from mmedagent.study.context import Context
from mmedagent.study.schema import Pool

QUICK_IMAGES = 24
"""Images of a pool that a quick study looks at."""


def study_cases(context: Context, pool: str) -> list[Case]:
    """Return the cases of `pool` that the study uses, in the order of the pool's file.

    All of them, or in a quick study those of a few images taken evenly over the pool, whole.
    """
    cases = read_multiple_choice(context.cases, [pool])
    if not cases:
        raise BadDataError(f"{context.cases}: the pool {pool!r} has no cases")
    if not context.quick:
        return cases
    images = list(dict.fromkeys(case.image_digest for case in cases))
    count = min(QUICK_IMAGES, len(images))
    kept = {images[number * len(images) // count] for number in range(count)}
    return [case for case in cases if case.image_digest in kept]


def sources_trained_on(context: Context) -> set[str]:
    """Return the sources of the cases that a doctor learns from."""
    return {case.source for case in read_multiple_choice(context.cases, ["warm_start", "train"])}


def describe_pool(name: str, cases: Sequence[Case], trained_on: Collection[str]) -> Pool:
    """Return what the page needs to know of the measured cases, in their order.

    `trained_on`: the sources that are familiar to the doctors.
    """
    numbers: dict[str, int] = {}
    for case in cases:
        numbers.setdefault(case.image_digest, len(numbers))
    return Pool(
        pool=name,
        case_ids=tuple(case.case_id for case in cases),
        gold="".join(case.letter for case in cases),
        clusters=tuple(numbers[case.image_digest] for case in cases),
        specialty=tuple(case.specialty for case in cases),
        question_type=tuple(case.question_type for case in cases),
        familiar=tuple(1 if case.source in trained_on else 0 for case in cases),
    )
