"""Reading replies: `<think>...</think><answer>...</answer>`, option letters, specialties.

Nothing here guesses and nothing raises: a reply that cannot be read is `None`, for the caller to
count. METHOD, section 'Training': the completion is one think block, then one answer block. Tags
are lower case, as the prompts write them. Time is linear in the length of a reply.
"""

import re
import unicodedata
from dataclasses import dataclass

from mmedagent.cases.case import LETTERS, SPECIALTIES, Specialty
from mmedagent.consultation.normalise import fold_unicode, normalise, strip_punctuation

__all__ = ["Reply", "match_option", "match_specialty", "normalise", "parse_reply"]

LONGEST_ANSWER = 2_000
"""Characters. A longer answer names nothing, or comparing texts could take a while."""
_TAG = re.compile(r"(</?(?:think|answer)>)")
_BLOCKS = ["<think>", "</think>", "<answer>", "</answer>"]
_LETTER = re.compile(r"\(?([A-Za-z])\)?(?:[.):]\s*(.*))?", re.DOTALL)


@dataclass(frozen=True)
class Reply:
    """One reply, read: `answer` is None when no single answer block was found."""

    reasoning: str
    answer: str | None
    well_formed: bool
    """Exactly one non-empty think block, then exactly one non-empty answer block, nothing else."""


def parse_reply(text: str) -> Reply:
    """Read a reply; a malformed one keeps its answer only if exactly one answer block exists.

    A block is empty when nothing in it can be seen: white space, control and format characters.
    An answer block is one opening tag, then one closing tag, with no tag between them.
    """
    parts = _TAG.split(text)
    between, tags = parts[::2], parts[1::2]
    if tags == _BLOCKS and not any(part.strip() for part in between[::2]):
        reasoning, answer = between[1].strip(), between[3].strip()
        well_formed = _visible(reasoning) and _visible(answer)
        return Reply(reasoning, answer if _visible(answer) else None, well_formed)
    answer = ""
    if tags.count("<answer>") == tags.count("</answer>") == 1:
        place = tags.index("<answer>")
        if tags[place + 1 : place + 2] == ["</answer>"]:
            answer = between[place + 1].strip()
    return Reply("", answer if _visible(answer) else None, well_formed=False)


def match_option(answer: str | None, options: tuple[str, ...]) -> str | None:
    """Return the letter of the one option that `answer` names, or None.

    It may name an option by its text (`normalise` says which texts are the same), by its letter
    (`B`, `(B)`, `b.`) or by both (`B. MR`, where the text must be that option's). Nothing is named
    by a text that several options share, nor where letter and text name two options: with the
    options `B` and `A`, an `A` can mean either.
    """
    if answer is None or len(answer) > LONGEST_ANSWER:
        return None
    texts = [normalise(option) for option in options]
    wanted = normalise(answer)
    named = {texts.index(wanted)} if texts.count(wanted) == 1 else set()
    match = _LETTER.fullmatch(strip_punctuation(" ".join(fold_unicode(answer).split())))
    if match:
        index = LETTERS.find(match[1].upper())
        agrees = not match[2] or normalise(match[2]) == texts[min(index, len(texts) - 1)]
        if index < len(options) and agrees:
            named.add(index)
    return LETTERS[named.pop()] if len(named) == 1 else None


def match_specialty(answer: str | None) -> Specialty | None:
    """Return the specialty that `answer` names, whatever its case, or None."""
    if answer is None or len(answer) > LONGEST_ANSWER:
        return None
    wanted = normalise(answer)
    for specialty in SPECIALTIES:
        if normalise(specialty) == wanted:
            return specialty
    return None


def _visible(text: str) -> bool:
    return any(unicodedata.category(character)[0] not in "CZ" for character in text)
