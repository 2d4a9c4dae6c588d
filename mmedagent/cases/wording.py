"""Texts as they are compared: without case, punctuation and articles."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from mmedagent.digests import digest_bytes

_WORD = re.compile(r"\w+")
_ARTICLES = frozenset({"a", "an", "the"})
_REMEMBERED = 4096
"""Texts whose form is remembered: questions, answers and options recur."""
_LEAST_LETTERS = 3
"""Shorter answers ("no", "2", "CT") occur in questions by chance."""
_JUDGEMENTS = frozenset({"yes", "no", "true", "false", "none", "both", "normal", "abnormal"})
"""Answers whose words a question may well hold without giving anything away."""


@lru_cache(_REMEMBERED)
def normalised(text: str) -> str:
    """Return the words of a text in lower case, composed alike, without articles."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return " ".join(word for word in words if word not in _ARTICLES) or text.strip()


@lru_cache(_REMEMBERED)
def key_of(*texts: str) -> str:
    """Return 16 hex digits that equal texts have in common after `normalised`."""
    return digest_bytes("\x1f".join(map(normalised, texts)).encode())[:16]


def gives_away(question: str, answer: str, options: Sequence[str]) -> bool:
    """Tell whether the question has the answer's words, and no other option's.

    "Is it CT or MRI?" has both, which is fine, and so is an open question that offers a choice.
    """
    said = normalised(answer)
    if sum(letter.isalpha() for letter in said) < _LEAST_LETTERS or said in _JUDGEMENTS:
        return False
    asked = f" {normalised(question)} "
    if f" {said} " not in asked:
        return False
    others = {normalised(option) for option in options} - {said}
    if not others:
        return " or " not in asked
    return not any(f" {other} " in asked for other in others if other not in said)
