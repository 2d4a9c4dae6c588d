"""Option order in training: the canonical one of a question's kind, or shuffled case by case."""

import random
from collections.abc import Sequence

from mmedagent.cases.case import LETTERS, Case, Opinion
from mmedagent.digests import digest_value


def permute(case: Case, opinions: Sequence[Opinion], seed: int) -> tuple[Case, tuple[Opinion, ...]]:
    """Shuffle a case's options and rename the letters of its opinions accordingly.

    The order depends on `seed` and the case's id alone.
    """
    order = list(range(len(case.options)))
    random.Random(int(digest_value([seed, case.case_id])[:16], 16)).shuffle(order)
    options = tuple(case.options[index] for index in order)
    renamed = {LETTERS[index]: LETTERS[place] for place, index in enumerate(order)}
    said = tuple(
        opinion.model_copy(update={"letter": opinion.letter and renamed.get(opinion.letter)})
        for opinion in opinions
    )
    return case.model_copy(update={"options": options}), said
