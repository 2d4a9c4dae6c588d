"""Hints at wrong labels: cases of which every specialist says one thing, and gold says another.

They are hints: specialists that learned from one pool err together. A person looks at each, on the
page that is written beside the opinions.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from mmedagent.atomic import write_json, write_text
from mmedagent.cases.case import LETTERS, Case, Opinion
from mmedagent.cases.findings.finding import Finding
from mmedagent.cases.findings.html import page, picture, tiles, title
from mmedagent.cases.findings.kinds import KINDS
from mmedagent.cases.findings.reviews import Reviews, reviews_of
from mmedagent.cases.store import iter_cases, read_manifest
from mmedagent.cases.wording import key_of

PAGE = "label-noise.html"
HINTS = "label-noise.json"
_LISTED = 1_000
_SHOWN = 100
_SPECIALISTS = 2
"""Fewer opinions are no unanimity."""


def against_gold(case: Case, opinions: Sequence[Opinion]) -> str | None:
    """Return the letter that every specialist chose where it is not gold's, else None.

    Only opinions in the case's own specialty count: one asked as another doctor is no witness.
    """
    letters = {opinion.letter for opinion in opinions if opinion.role == case.specialty}
    if not case.options or len(opinions) < _SPECIALISTS or len(letters) != 1:
        return None
    if any(opinion.role != case.specialty for opinion in opinions):
        return None
    [letter] = letters
    known = letter is not None and letter in LETTERS[: len(case.options)]
    return letter if known and letter != case.letter else None


def write_label_noise(
    out: Path, cases: Path, pool: Iterable[Case], opinions: Mapping[str, Sequence[Opinion]]
) -> int:
    """Write the page and the list of hints to the folder `out`; return how many there are.

    `cases` is the data version, for its name and its reviews; `pool` are the cases to judge, looked
    at one by one. Hints that somebody has reviewed are listed as such.
    """
    manifest = read_manifest(cases)
    reviews = reviews_of(cases, str(manifest["name"]))
    listed: list[dict[str, Any]] = []
    articles: list[str] = []
    judged = total = 0
    for case in pool:
        said = opinions.get(case.case_id, ())
        judged += bool(said)
        letter = against_gold(case, said)
        if letter is None:
            continue
        total += 1
        if len(listed) < _LISTED:
            listed.append(_hint(case, letter, len(said), reviews))
        if len(articles) < _SHOWN:
            articles.append(_article(case, letter, listed[-1]))
    content = {"schema": 1, "data_set": manifest["name"], "data_digest": manifest["digest"]}
    write_json(out / HINTS, content | {"judged": judged, "hints": total, "findings": listed})
    write_text(out / PAGE, _page(str(manifest["name"]), judged, total, articles))
    return total


def label_noise(cases: Path, opinions: Mapping[str, Sequence[Opinion]], out: Path) -> int:
    """Do the same for a data version and opinions that were asked before, into a new folder."""
    from mmedagent.atomic import new_folder

    with new_folder(out) as folder:
        return write_label_noise(folder, cases, iter_cases(cases), opinions)


def _hint(case: Case, letter: str, specialists: int, reviews: Reviews) -> dict[str, Any]:
    chosen = case.options[LETTERS.index(letter)]
    key = (case.case_id, key_of(case.question), key_of(case.answer), key_of(chosen))
    finding = Finding(
        "label_noise",
        key,
        f"all {specialists} specialists chose {letter}, gold is {case.letter}",
    )
    review = reviews.of(finding.id, finding.kind, lambda: [case.case_id])
    return {
        "id": finding.id,
        "kind": finding.kind,
        "policy": "warn",
        "says": finding.says,
        "cases": 1,
        "case_ids": [case.case_id],
        "images": [],
        "review": None if review is None else review.model_dump(mode="json"),
    }


def _article(case: Case, letter: str, hint: Mapping[str, Any]) -> str:
    marks = {case.letter: "gold", letter: "panel"}
    options = "".join(
        f'<li class="{marks[each]}">{each} {escape(text)} ({marks[each]})</li>'
        if each in marks
        else f"<li>{each} {escape(text)}</li>"
        for each, text in zip(LETTERS, case.options, strict=False)
    )
    review = hint["review"]
    state, word = ("reviewed", "reviewed") if review else ("warn", "look at it")
    said = (
        f'<p class="review">{escape(review["who"])}, {review["when"]}: {escape(review["why"])}</p>'
        if review
        else ""
    )
    images = "".join(picture(image) for image in case.images[:4])
    return (
        f'<article class="{state}"><p class="what"><span><span class="state">{word}</span> '
        f'{escape(hint["says"])}</span> <code class="id">{hint["id"]}</code></p>'
        f'<div class="side"><div class="images">{images}</div><div>'
        f'<p class="question">{escape(case.question)}</p><ul class="options">{options}</ul>'
        f'<p class="cases"><code>{escape(case.case_id)}</code> {escape(case.modality)},'
        f" {case.specialty}, {case.pool}</p>{said}</div></div></article>"
    )


def _page(name: str, judged: int, total: int, articles: Sequence[str]) -> str:
    about = KINDS["label_noise"]
    rest = total - len(articles)
    more = f'<p class="more">{rest:,} more in <code>{HINTS}</code>.</p>' if rest > 0 else ""
    verdict = "nothing to look at" if not total else f"{total:,} to look at"
    body = (
        '<p class="eyebrow">Hints at wrong labels</p>'
        + title(name, verdict, "doubt" if total else "ok")
        + f'<p class="lead">{about.meaning} Specialists that learned from one pool err together:'
        f" these are hints. <b>{about.mend}</b></p>"
        + tiles((("cases with opinions", judged), ("unanimously against gold", total)))
        + f"<section><h2>Cases</h2>{''.join(articles) or '<p>None.</p>'}{more}</section>"
    )
    return page(f"Label noise: {name}", body)
