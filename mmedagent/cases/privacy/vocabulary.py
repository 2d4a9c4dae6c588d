"""Which words are ordinary or medical ones: what a capitalised word must be not to be a name.

Three sources: English words (`words.json`, from SCOWL), the concepts of DICOM's code dictionaries
as pydicom ships them (anatomy, findings, procedures, organisms, agents), and the field's eponyms
and brands in `names.yaml`, which are a project's own and short.
"""

import json
import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import yaml

_SUFFIXES = (
    ("s", ("",)),
    ("es", ("",)),
    ("ies", ("y",)),
    ("ed", ("", "e")),
    ("ied", ("y",)),
    ("ing", ("", "e")),
    ("ings", ("", "e")),
    ("ly", ("",)),
    ("ily", ("y",)),
    ("er", ("", "e")),
    ("ers", ("", "e")),
    ("est", ("", "e")),
    ("ness", ("",)),
    ("iness", ("y",)),
    ("ability", ("able",)),
    ("ally", ("al", "")),
    ("ization", ("ize",)),
    ("ized", ("ize",)),
    ("izing", ("ize",)),
    ("ise", ("ize",)),
    ("ised", ("ize",)),
    ("ising", ("ize",)),
    ("isation", ("ize",)),
    ("our", ("or",)),
    ("ions", ("ion",)),
    ("less", ("",)),
)
_DOUBLED = re.compile(r"(.+?)([b-df-hj-np-tv-z])\2(?:ed|ing|er|ers)")
_MEDICAL = re.compile(
    r".{2,}(?:omas?|omata|itis|itides|[oi]asis|osis|oses|otic|a?emia|a?emic|uria|pathy|pathies"
    r"|pathic|ectomy|ectomies|[aeio]stomy|otomy|otomies|scopy|scopic|graphy|graphic|grams?"
    r"|plasty|plasia|plastic|trophy|trophic|genic|genesis|lysis|lytic|plegia|plegic|paresis"
    r"|algia|dynia|rrh[aeo]+a?|rrhage|rrhagic|ectasis|ectasia|ectatic|stenosis|stenotic|cytes?"
    r"|cytic|cytosis|blasts?|blastic|penia|penic|philia|phils?|philic|phobia|megaly|malacia|ptosis"
    r"|rrhaphy|centesis|desis|pexy|tripsy|kinesia|kinetic|taxia|phagia|phasia|pnea|pnoea|thorax"
    r"|derma|dermis|dermal|odynia|opsy|opsia|opia|metry|meter|cardia|cardial|cardium|costal"
    r"|oids?|eous|aceae|virus|viridae|coccus|cocci|bacter|bacteria|bacterium|mycosis|mycetes"
    r"|mabs?|inibs?|ciclib|statin|sartan|olol|azoles?|cillin|mycin|micin|cyclines?|floxacin"
    r"|[aiou]vir|parin|platin|taxel|rubicin|caine|zepam|zolam|dipine|gliptin|gliflozin|glutide"
    r"|thiazide|semide|tidine|prazole|setron|triptan|coxib|profen|[aeio]sone|[io]solone|onide"
    r"|[ie]no?pril|[ao]lapril|ipril|terol|tropium|lukast|fibrate|xaban|gatran|afil|dronate|phylline|barbital|amide|azine|idine"
    r"|[bcdfgmpt]amine|globulin|globin|kinases?|tases?|dases?|lases?|genases?|ferases?|proteins?)"
)
_ADJECTIVAL = re.compile(
    r".{4,}(?:(?:at|et|it|ot|ut|ct|st|gn|rg|lg|ph|om|am|em|id|ed|on|en|in)ic|ical|ional|ental"
    r"|(?:i|e|n|r|d|t)al|ious|ations?|itions?|ements?|ities|ity|isms?|ives?|ables?|ibles?|iform"
    r"|ular|ulars?|iatric|iatrics|ologist|ologists|ology|ologic|ological)"
)


def stems(word: str) -> list[str]:
    """Return what `word` may be an English inflection of; nonsense among it does no harm."""
    found = [
        word[: -len(suffix)] + ending
        for suffix, endings in _SUFFIXES
        if word.endswith(suffix) and len(word) - len(suffix) >= 3
        for ending in endings
    ]
    if doubled := _DOUBLED.fullmatch(word):
        found.append(doubled[1] + doubled[2])
    return found


@cache
def tables() -> dict[str, Any]:
    """Return the tables of `names.yaml`."""
    text = files("mmedagent.cases.privacy").joinpath("names.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


@cache
def words_of(table: str) -> frozenset[str]:
    """Return the lower-case words of one table, which is written as running text."""
    return frozenset(str(tables()[table]).lower().split())


@cache
def _words() -> dict[str, frozenset[str]]:
    text = files("mmedagent.cases.privacy").joinpath("words.json").read_text(encoding="utf-8")
    loaded = json.loads(text)
    return {name: frozenset(loaded[name].split()) for name in ("words", "also_names")}


@cache
def _concepts() -> frozenset[str]:
    """Return the words of the meanings in DICOM's context groups (PS3.16), lower case."""
    from pydicom.sr._concepts_dict import concepts

    meanings = (
        meaning
        for scheme in concepts.values()
        for codes in scheme.values()
        for meaning, _ in codes.values()
    )
    found = {
        word.removesuffix("'s").lower()
        for meaning in meanings
        for word in re.findall(r"[^\W\d_][^\W\d_']*(?:'s)?", meaning)
        if len(word) > 1
    }
    # The context groups for breeds and drugs name people as well; those stay names.
    return frozenset(found - words_of("not_medical"))


@cache
def eponyms() -> frozenset[str]:
    """Return the names, in lower case, that stand for diseases, signs, stains and scores."""
    return words_of("eponyms") | words_of("brands") | words_of("places")


def also_a_name(word: str) -> bool:
    """Say whether a lower-case English word is a common person's name as well (`grace`, `mark`)."""
    return word in _words()["also_names"] or word in words_of("given_names")


@lru_cache(maxsize=65_536)
def is_known(word: str) -> bool:
    """Say whether a lower-case word is an ordinary or medical one, or an eponym."""
    if word in words_of("given_names"):
        return False
    english = _words()["words"]
    if word in english or word in eponyms() or word in _concepts():
        return True
    if any(stem in english or stem in _concepts() for stem in stems(word)):
        return True
    return bool(_MEDICAL.fullmatch(word) or _ADJECTIVAL.fullmatch(word))
