"""Trust in a unanimous panel: how often a wrong one is followed, and a right one abandoned.

Pure functions on arrays of letters, shared by the evaluation and the study's page. METHOD, section
'Published figures': supervised training 'learns to trust bad advice'.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Letters = NDArray[np.str_]
"""One character a case, shape [cases]: a letter, or `-` for none."""
Values = NDArray[np.float64]

NO_LETTER = "-"


def letter_array(letters: Iterable[str | None]) -> Letters:
    """Return letters as an array, `-` for None; a string is taken letter by letter."""
    return np.array([letter or NO_LETTER for letter in letters], dtype="<U1")


def consensus(opinions: Sequence[Letters]) -> Letters:
    """Return the letter that all specialists chose, `-` where they differ or one chose none.

    Args:
        opinions: letters [specialists][cases], one specialist or more.
    """
    said = np.stack([np.asarray(letters) for letters in opinions])
    agreed = (said == said[0]).all(axis=0)
    return np.where(agreed, said[0], NO_LETTER)


def followed_wrong(decisions: Letters, gold: Letters, opinions: Sequence[Letters]) -> Values:
    """Return float [cases]: where all specialists agree on a wrong letter, whether it was decided.

    1 followed, 0 not; NaN where there is no wrong consensus. `np.nanmean` is the rate.
    """
    agreed = consensus(opinions)
    wrong = (agreed != NO_LETTER) & (agreed != gold)
    return np.where(wrong, (decisions == agreed).astype(np.float64), np.nan)


def abandoned_right(decisions: Letters, gold: Letters, opinions: Sequence[Letters]) -> Values:
    """Return float [cases]: where all specialists are right, whether something else was decided.

    1 abandoned (an unreadable decision too), 0 kept; NaN where not all are right.
    """
    right = consensus(opinions) == gold
    return np.where(right, (decisions != gold).astype(np.float64), np.nan)


def rate(values: Values) -> float | None:
    """Return the mean over the cases that count; None when none does."""
    counted = values[~np.isnan(values)]
    return float(counted.mean()) if len(counted) else None
