"""One finding, and the tables that hold all of a data version's findings beside its facts."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from mmedagent.cases.facts import Facts
from mmedagent.cases.findings.kinds import KINDS
from mmedagent.cases.findings.reviews import Review, Reviews
from mmedagent.digests import digest_value
from mmedagent.recipes.data import FindingKind, Policy

KEPT_CASES = 1_000
"""So many cases of one finding are kept by name; their number is always whole."""
_TABLES = """
DROP TABLE IF EXISTS findings;
DROP TABLE IF EXISTS finding_cases;
CREATE TABLE findings (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE, kind TEXT, policy TEXT, says TEXT, cases INTEGER,
    images TEXT, review TEXT
);
CREATE TABLE finding_cases (finding INTEGER, position INTEGER, value);
CREATE INDEX finding_case_numbers ON finding_cases (finding);
"""
_MARK = "INSERT INTO finding_cases VALUES (?, ?, ?)"


@dataclass(frozen=True)
class Finding:
    """Something that one check found."""

    kind: FindingKind
    key: tuple[str, ...]
    """What makes it this finding in every version: digests, ids, names. It decides the id."""
    says: str
    """One sentence with figures; no text of a question and nothing of a patient."""
    cases: tuple[tuple[int, Any], ...] = ()
    """Position of a case, and what the column of its kind says of it; the first thousand."""
    count: int | None = None
    """Of how many cases it is; None when `cases` has all."""
    images: tuple[str, ...] = ()
    """Digests of the images to look at."""

    @property
    def id(self) -> str:
        """16 hex digits: the same for the same finding in another run or version."""
        return digest_value([self.kind, *self.key])[:16]


def keep_findings(
    facts: Facts,
    findings: Iterable[Finding],
    policies: Mapping[FindingKind, Policy],
    reviews: Reviews,
) -> None:
    """Replace the findings in the fact file, and mark those that somebody has reviewed.

    The cases of findings that stop a run and are not reviewed get their kind's column filled.
    """
    facts.connection.executescript(_TABLES)
    facts.forget_findings()
    numbered = enumerate(findings, 1)
    while batch := list(islice(numbered, 2_000)):
        rows, marks = [], []
        for number, finding in batch:
            review = reviews.of(finding.id, finding.kind, partial(_ids, facts, finding))
            count = len(finding.cases) if finding.count is None else finding.count
            said = None if review is None else review.model_dump_json()
            row = (number, finding.id, finding.kind, policies[finding.kind], finding.says)
            rows.append((*row, count, json.dumps(finding.images[:8]), said))
            marks += [(number, at, value) for at, value in finding.cases[:KEPT_CASES]]
        facts.execute("INSERT OR IGNORE INTO findings VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        facts.execute(_MARK, marks)
    _fill_columns(facts)


def _ids(facts: Facts, finding: Finding) -> list[str]:
    """Return the ids of a finding's cases, when all are known."""
    if finding.count is not None and finding.count > len(finding.cases):
        return []
    query = "SELECT case_id FROM cases WHERE position = ?"
    return [str(facts.one(query, (position,))) for position, _ in finding.cases]


def _fill_columns(facts: Facts) -> None:
    for column in {kind.column for kind in KINDS.values() if kind.column}:
        kinds = [name for name, kind in KINDS.items() if kind.column == column]
        marks = ", ".join("?" * len(kinds))
        with facts.connection:
            facts.connection.execute(
                f"UPDATE cases SET {column} = found.value FROM ("
                " SELECT position, MIN(value) AS value FROM finding_cases"
                " JOIN findings ON findings.number = finding_cases.finding"
                f" WHERE kind IN ({marks}) AND policy = 'stop' AND review IS NULL"
                " GROUP BY position) AS found WHERE cases.position = found.position",
                kinds,
            )


def kept_findings(facts: Facts, most_of_a_kind: int) -> Iterator[dict[str, Any]]:
    """Yield the kept findings as JSON-able values, in the order of the kinds; stopping ones first.

    Each has `id`, `kind`, `policy`, `says`, `cases` (how many), `case_ids` (the first twenty),
    `images` (digests) and `review` (None, or who, when and why).
    """
    for kind in KINDS:
        rows = facts.rows(
            "SELECT number, id, policy, says, cases, images, review FROM findings WHERE kind = ?"
            " ORDER BY review IS NOT NULL, number LIMIT ?",
            (kind, most_of_a_kind),
        )
        for number, id_, policy, says, cases, images, review in rows:
            named = facts.rows(
                "SELECT case_id FROM finding_cases JOIN cases USING (position) WHERE finding = ?"
                " ORDER BY finding_cases.rowid LIMIT 20",
                (number,),
            )
            yield {
                "id": id_,
                "kind": kind,
                "policy": policy,
                "says": says,
                "cases": cases,
                "case_ids": [str(case_id) for (case_id,) in named],
                "images": json.loads(images),
                "review": None
                if review is None
                else Review.model_validate_json(review).model_dump(mode="json"),
            }


def counts(facts: Facts) -> dict[str, dict[str, int]]:
    """Return, of each kind that was found, how many findings stop, warn and are reviewed."""
    table: dict[str, dict[str, int]] = {}
    rows = facts.rows(
        "SELECT kind, CASE WHEN review IS NULL THEN policy ELSE 'reviewed' END, COUNT(*)"
        " FROM findings GROUP BY 1, 2"
    )
    for kind, state, count in rows:
        table.setdefault(kind, {"stop": 0, "warn": 0, "reviewed": 0})[state] = count
    return {kind: table[kind] for kind in KINDS if kind in table}


def unlikely(chance: float) -> str:
    """Return a probability as a sentence has it."""
    return "below 1e-12" if chance < 1e-12 else f"{chance:.1g}"
