"""Reading replies: `<think>...</think><answer>...</answer>`, option letters, specialties.

Nothing here guesses and nothing raises: a reply that cannot be read is `None`, for the caller to
count. METHOD, section 'Training': the completion is one think block, then one answer block.
"""

import re
import unicodedata
from dataclasses import dataclass

from mmedagent.cases.case import LETTERS, SPECIALTIES, Specialty

_WELL_FORMED = re.compile(r"\s*<think>(.*?)</think>\s*<answer>(.*?)</answer>\s*", re.DOTALL)
_TAG = re.compile(r"</?(?:think|answer)>")
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_LETTER = re.compile(r"\(?([A-Za-z])\)?(?:[.):]\s*(.*))?", re.DOTALL)


@dataclass(frozen=True)
class Reply:
    """One reply, read: `answer` is None when no single answer block was found."""

    reasoning: str
    answer: str | None
    well_formed: bool
    """Exactly one non-empty think block, then exactly one non-empty answer block, nothing else."""


def parse_reply(text: str) -> Reply:
    """Read a reply; a malformed one keeps its answer only if exactly one answer block exists."""
    match = _WELL_FORMED.fullmatch(text)
    if match and not _TAG.search(match[1]) and not _TAG.search(match[2]):
        reasoning, answer = match[1].strip(), match[2].strip()
        return Reply(reasoning, answer or None, well_formed=bool(reasoning and answer))
    answers = _ANSWER.findall(text)
    answer = answers[0].strip() if len(answers) == 1 else ""
    return Reply("", answer or None, well_formed=False)


def normalise(text: str) -> str:
    """Fold case, Unicode compatibility forms and white space, and drop closing punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).strip(" .,:;!?\"'")


def match_option(answer: str | None, options: tuple[str, ...]) -> str | None:
    """Return the letter of the option that `answer` names by text, by letter or by both.

    An option's exact text wins over a letter (`"A"` may be an option's text). An answer that
    names a letter and the text of another option names nothing.
    """
    if answer is None:
        return None
    texts = [normalise(option) for option in options]
    wanted = normalise(answer)
    if texts.count(wanted) == 1:
        return LETTERS[texts.index(wanted)]
    match = _LETTER.fullmatch(answer.strip())
    if not match:
        return None
    index = LETTERS.find(match[1].upper())
    if not 0 <= index < len(options):
        return None
    if match[2] and normalise(match[2]) != texts[index]:
        return None
    return LETTERS[index]


def match_specialty(answer: str | None) -> Specialty | None:
    """Return the specialty that `answer` names, whatever its case, or None."""
    wanted = normalise(answer or "")
    for specialty in SPECIALTIES:
        if normalise(specialty) == wanted:
            return specialty
    return None
