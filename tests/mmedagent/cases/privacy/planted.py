"""The corpus of planted identifiers, and what it means that one was caught whole."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from mmedagent.cases.privacy.spans import plain

HERE = Path(__file__).parent
_WORD = re.compile(r"[^\W_]+")


def load(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((HERE / f"{name}.yaml").read_text(encoding="utf-8")))


def pieces(planted: str) -> list[str]:
    """The words and numbers of an identifier that must not stand alone in what is left either."""
    words = _WORD.findall(plain(planted).text.lower())
    return [word for word in words if len(word) >= (2 if any(c.isdigit() for c in word) else 3)]


def left_over(planted: str, text: str) -> list[str]:
    """What of an identifier `text` still has: nothing when it was caught whole."""
    form = plain(text).text.lower()
    there = set(_WORD.findall(form))
    found = [piece for piece in pieces(planted) if piece in there]
    return found + ([planted] if plain(planted).text.lower() in form else [])


def planted_texts(name: str = "corpus", section: str = "texts") -> Iterator[tuple[str, str, str]]:
    for entry in load(name)[section]:
        for planted in entry["planted"]:
            yield entry["kind"], entry["text"], planted
