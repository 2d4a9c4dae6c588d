"""Roles that no triage chose: a random one, the gold one, every one at once.

They separate what routing adds from what aggregation adds: METHOD, section 'What reviewers and
readers found missing', item 6.
"""

import random
from collections.abc import Mapping, Sequence

from mmedagent.cases.case import SPECIALTIES, Case, Opinion, Specialty
from mmedagent.consultation.vote import count_votes
from mmedagent.digests import digest_value


def random_roles(cases: Sequence[Case], seed: int) -> list[Specialty]:
    """Return one of the paper's seven specialties for each case, all equally likely.

    The row 'without triage' of the paper's ablation, as we read it. A case's draw depends on
    `seed` and its id alone, so it is the same whatever else is asked with it.
    """
    return [
        SPECIALTIES[
            random.Random(int(digest_value([seed, "role", case.case_id])[:16], 16)).randrange(
                len(SPECIALTIES)
            )
        ]
        for case in cases
    ]


def gold_roles(cases: Sequence[Case]) -> list[Specialty]:
    """Return each case's gold specialty: what a triage that never errs would choose."""
    return [case.specialty for case in cases]


def merge_roles(
    opinions: Mapping[Specialty, Sequence[Sequence[Opinion]]],
) -> list[tuple[Opinion, ...]]:
    """Return one opinion a specialist and case out of what it said in every role.

    A specialist contributes the letter that most of its role-answers chose; of tied letters the
    one that comes first in the paper's order of specialties. An answer without a letter is no
    candidate; when no role gave one, neither does the merged opinion. Role, reasoning and raw
    reply are those of the first role, in that order, that chose the letter.

    Args:
        opinions: for each role the opinions on each case, in one order of cases and specialists.

    Raises `ValueError` without a role, or when the roles were not asked about the same cases.
    """
    if not opinions:
        raise ValueError("nothing to merge: the panel was asked in no role")
    ordered = [opinions[role] for role in SPECIALTIES if role in opinions]
    return [
        tuple(_merge(answers) for answers in zip(*said, strict=True))
        for said in zip(*ordered, strict=True)
    ]


def _merge(answers: Sequence[Opinion]) -> Opinion:
    names = {opinion.specialist for opinion in answers}
    if len(names) != 1:
        raise ValueError(f"opinions of {', '.join(sorted(names))} where one specialist's belong")
    return answers[count_votes([opinion.letter for opinion in answers]).winner]
