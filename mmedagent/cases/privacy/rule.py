"""One rule of the recognisers' tables."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import regex


@dataclass(frozen=True)
class Rule:
    """What `pattern` finds (its group `v`) is of `kind` when `check` agrees."""

    kind: str
    pattern: Any
    check: Callable[[Any], bool] | None
    needs: tuple[str, ...] | None
    """A text that has none of these strings is not searched: a cheap test before a dear one."""


def rule(
    kind: str,
    pattern: str,
    check: Callable[[Any], bool] | None = None,
    needs: str | None = None,
    ignore_case: bool = False,
) -> Rule:
    """Return a rule; `needs` are words separated by spaces."""
    flags = regex.IGNORECASE if ignore_case else 0
    words = tuple(needs.split()) if needs else None
    return Rule(kind, regex.compile(pattern, flags), check, words)


def digits(text: str) -> int:
    """Return the number of digits in `text`."""
    return sum(letter.isdigit() for letter in text)
