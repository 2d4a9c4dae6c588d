"""Judges one cell: text that is safe to store, lists that are written as text, numbers.

What is refused and why: control characters and broken Unicode (they hide or break text), the
controls that turn the reading direction and Unicode tags (CVE-2021-42574: text that reads otherwise
than it is stored), and cells that a spreadsheet would run as formulas (CWE-1236).
"""

import ast
import json
import re
import unicodedata
from typing import Any

Finding = tuple[str, str]
"""What is wrong, and what mends it."""

_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_PLAIN_SIGN = re.compile(r"[+-]\s?[\d.,]+(?:\s?[^\W\d_]{1,4}|\s?%)?|[+\-/±]+")
_LOOKS_LIKE_LIST = re.compile(r"\[\s*(?:['\"].*['\"]\s*,?)?\s*\]|\(\s*['\"].*['\"]\s*,?\s*\)", re.S)
_MOST_PARTS = 64


def text_of(value: Any) -> str | Finding:
    """Return a cell as text: numbers as they are written, a missing value as empty."""
    if isinstance(value, str):
        return value.strip()
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return "a list where one value is expected", "map the column with `list: native`"
    if isinstance(value, dict) and "bytes" in value:
        return "image bytes in the table", "write them to files and name the files"
    return f"a value of type {type(value).__name__}", "write it as text"


def text_problem(text: str, most: int) -> Finding | None:
    """Return what is wrong with a text of a case, or None; `most` characters are allowed."""
    if len(text) > most:
        return (
            f"{len(text)} characters, {most} are allowed",
            "is it a report in the wrong column? Else raise `limits.max_question_chars`",
        )
    if text.isascii() and text.isprintable():
        return _formula(text)
    for character in text:
        if character in _TURNING:
            return (
                f"U+{ord(character):04X}, which turns the reading direction",
                "take it out: Arabic and Hebrew letters need none",
            )
        category = unicodedata.category(character)
        if category == "Cc" and character not in "\n\t\r":
            return f"control character U+{ord(character):04X}", "take it out"
        if category == "Cs":
            return "half a character (a lone surrogate)", "export the table anew as UTF-8"
        if 0xE0000 <= ord(character) <= 0xE007F:
            return "invisible tag characters", "take them out"
        if character == "\N{REPLACEMENT CHARACTER}":
            return (
                "U+FFFD, left where an earlier program could not read a character",
                "export the table anew from its source",
            )
    return _formula(text)


def _formula(text: str) -> Finding | None:
    if not text.startswith(("=", "+", "-", "@")) or _PLAIN_SIGN.fullmatch(text):
        return None
    return (
        f"begins with {text[0]!r}, which a spreadsheet runs as a formula",
        "begin with a word; numbers such as -5 are fine",
    )


def list_problem(text: str) -> Finding | None:
    """Return what to say of a text that is a written list where the mapping expects one value."""
    if not _LOOKS_LIKE_LIST.fullmatch(text):
        return None
    form = "json" if _parsed(text, "json") is not None else "python"
    return (
        "a list written as text",
        f"map the column alone, with `list: {form}`, if its cells are lists",
    )


def parts_of(value: Any, form: str) -> list[str] | Finding:
    """Return the parts of a cell that holds a list in `form` (`mapping.ListForm`)."""
    if form == "native":
        found: Any = list(value) if isinstance(value, list | tuple) else None
    elif not isinstance(value, str):
        found = [] if value is None else None
    elif form in ("json", "python"):
        found = _parsed(value, form)
    else:
        found = [part for part in value.split(form)] if value.strip() else []
    if found is None:
        return f"no list as `list: {form}` says", "mend the cell, or say in the mapping how it is"
    if len(found) > _MOST_PARTS:
        return f"a list of {len(found)} parts", f"{_MOST_PARTS} are allowed"
    texts = [text_of(part) for part in found]
    for text in texts:
        if not isinstance(text, str):
            return text
    return [text for text in texts if isinstance(text, str)]


def _parsed(text: str, form: str) -> list[Any] | None:
    if not text.strip():
        return []
    try:
        found = json.loads(text) if form == "json" else ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None
    return list(found) if isinstance(found, list | tuple) else None
