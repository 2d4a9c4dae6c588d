"""When two texts are the same answer: one normal form, and texts are the same if theirs are.

METHOD, section 'Training', wants the accuracy reward to compare answers; how, the paper leaves
open. What is folded, and what is kept apart because folding it would be a guess:

| folded | kept apart |
|---|---|
| case (`ß` = `SS`), Unicode compatibility forms (full width, ligatures, circled) | superscripts: `10²` is `10^2`, never `102` |
| invisible characters: zero-width, direction marks, soft hyphens | control characters |
| accents, however encoded (NFC = NFD) | accented and bare letters: `pâle`, `pale` |
| kinds of dashes and quotation marks | a minus sign and none |
| a hyphen beside a letter = a blank (`T2-weighted`) | a hyphen between digits (`2-3`) |
| runs of white space; quotes around, punctuation behind | brackets, other signs |
| one leading `a`, `an`, `the` before two letters or more | articles elsewhere |
| `zero` to `ninety-nine` = digits; any script's digits | ordinals, `hundred`, Roman numerals |
| `2` = `2.0` = `02`, `.5` = `0.5`, `1,000` = `1000` | `1,5` (a decimal comma?), `1 000`, units, `%` |
| as the whole text: `true` = `yes`, `false` = `no` | `y`, `n`, `t`, `f`: they may be letters of options |
"""  # noqa: E501 (a table's row is one line)

import re
import unicodedata

_WORDS = {
    **{"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7},
    **{"eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13},
    **{"fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18},
    **{"nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60},
    **{"seventy": 70, "eighty": 80, "ninety": 90},
}
_WHOLE = {"true": "yes", "false": "no"}
_QUOTES = str.maketrans({**dict.fromkeys("‘’‚‛ʼ′´`", "'"), **dict.fromkeys("“”„‟«»″", '"')})
_THOUSANDS = re.compile(r"(?<![\w.,])[0-9]{1,3}(?:,[0-9]{3})+(?![\w,])")
_NUMBER = re.compile(r"(?<![\w.,])([0-9]*)(?:\.([0-9]+))?(?![\w,]|\.[0-9])")
_HYPHEN = re.compile(r"(?<=[^\W\d_])-(?=\w)|(?<=\w)-(?=[^\W\d_])")
_ARTICLE = re.compile(r"(?:a|an|the) (?=\w\w)")


def normalise(text: str) -> str:
    """Return the normal form of `text`; the module says what it folds. Never raises.

    Punctuation that is the whole of a text is kept, so that `?` and `!` are not the same answer.
    """
    folded = " ".join(fold_unicode(text).casefold().split())
    folded = unicodedata.normalize("NFKC", folded)
    folded = strip_punctuation(folded) or folded
    folded = _HYPHEN.sub(" ", folded)
    folded = _ARTICLE.sub("", folded, count=1) if _ARTICLE.match(folded) else folded
    folded = _digits(folded.split())
    folded = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), folded)
    folded = _NUMBER.sub(_shortest, folded)
    return _WHOLE.get(folded, folded)


def fold_unicode(text: str) -> str:
    """Fold what looks the same or cannot be seen; case, blanks and words stay as they are."""
    return unicodedata.normalize("NFKC", "".join(map(_character, text.translate(_QUOTES))))


def strip_punctuation(text: str) -> str:
    """Take quotes from both ends and punctuation from the end; a leading dot may be a number's."""
    return text.lstrip(" ,:;!?\"'").rstrip(" .,:;!?\"'")


def _character(character: str) -> str:
    """Return what NFKC shall see of one character."""
    if character.isascii():
        return character
    category = unicodedata.category(character)
    if category == "Cf":
        return ""
    if category == "Pd" or character == "\N{MINUS SIGN}":
        return "-"
    if category == "Nd":
        return str(unicodedata.decimal(character))
    kind = unicodedata.decomposition(character).partition(" ")[0]
    if kind == "<super>":
        return "^" + character
    if kind == "<fraction>":
        # 1½ is no 11/2.
        return " " + unicodedata.normalize("NFKC", character).replace("\N{FRACTION SLASH}", "/")
    return character


def _digits(words: list[str]) -> str:
    """Join words, those for the numbers 0 to 99 as digits: `twenty one` is `21`."""
    joined: list[str] = []
    tens = False
    for word in words:
        value = _WORDS.get(word)
        if tens and value is not None and 1 <= value <= 9:
            joined[-1] = joined[-1][0] + str(value)
        else:
            joined.append(word if value is None else str(value))
        tens = value is not None and value >= 20
    return " ".join(joined)


def _shortest(match: re.Match[str]) -> str:
    """Write a decimal number without leading and closing zeros."""
    whole, part = match[1], (match[2] or "").rstrip("0")
    if not match[0]:
        return ""
    return (whole.lstrip("0") or "0") + ("." + part if part else "")
