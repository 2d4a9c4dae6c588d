"""Cases that say too much or contradict each other, and subjects that several pools share."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from mmedagent.cases.facts import Facts
from mmedagent.cases.findings.finding import KEPT_CASES, Finding

_LEARNING = "('train', 'warm_start', 'panel')"
_ASKED = """
DROP TABLE IF EXISTS temp.pairs;
DROP TABLE IF EXISTS temp.asked;
CREATE TEMP TABLE pairs AS
    SELECT digest AS one, digest AS two FROM picture_pools JOIN pictures USING (digest)
    WHERE NOT constant GROUP BY digest HAVING COUNT(*) > 1
    UNION SELECT one, two FROM alike UNION SELECT two, one FROM alike;
CREATE TEMP TABLE asked AS
    SELECT digest, question_key, answer_key, shown.pool = 'test' AS measured,
        MIN(position) AS first, COUNT(*) AS number
    FROM shown JOIN cases USING (position)
    WHERE digest IN (SELECT one FROM pairs)
        AND shown.pool IN ('test', 'train', 'warm_start', 'panel')
    GROUP BY 1, 2, 3, 4;
CREATE INDEX temp.asked_of ON asked (digest, question_key, answer_key, measured);
"""
_HIDDEN = """
SELECT there.digest, there.question_key, there.answer_key, there.first, there.number,
    here.digest, here.first, here.number
FROM asked AS there
JOIN pairs ON pairs.one = there.digest
JOIN asked AS here ON here.digest = pairs.two AND here.question_key = there.question_key
    AND here.answer_key = there.answer_key AND NOT here.measured
WHERE there.measured
ORDER BY 1, 2, 3, 6
"""
_CASES_OF = """
SELECT position FROM shown JOIN cases USING (position)
WHERE digest = ? AND question_key = ? AND answer_key = ? AND shown.pool IN {pools} LIMIT ?
"""


def hidden_cases(facts: Facts) -> Iterator[Finding]:
    """Yield the test cases whose picture, question and answer a learning pool has, too.

    The picture may have another name, format or size: those that `pictures` found alike count.
    Cases are grouped before they are compared, so that one image of many cases costs no more.
    """
    facts.connection.executescript(_ASKED)
    rows = facts.rows(_HIDDEN)
    for key, group in groupby(rows, key=lambda row: row[:3]):
        members = list(group)
        measured, learned = members[0][3], members[0][6]
        images = {str(key[0]), *(str(row[5]) for row in members)}
        cases = dict.fromkeys(_cases_of(facts, key, "('test')"), _name(facts, learned))
        for row in members:
            found = _cases_of(facts, (row[5], *key[1:]), _LEARNING)
            cases |= dict.fromkeys(found, _name(facts, measured))
        count = members[0][4] + sum(row[7] for row in members)
        yield Finding(
            "hidden_case",
            tuple(map(str, key)),
            f"{count} cases of test and a learning pool have one picture, question and answer",
            tuple(cases.items())[:KEPT_CASES],
            count,
            tuple(sorted(images)),
        )


def _cases_of(facts: Facts, key: tuple[Any, ...], pools: str) -> list[int]:
    rows = facts.rows(_CASES_OF.format(pools=pools), (*key, KEPT_CASES))
    return [position for (position,) in rows]


def _name(facts: Facts, position: int) -> str:
    return str(facts.one("SELECT case_id FROM cases WHERE position = ?", (position,)))


def subjects_in_pools(facts: Facts) -> Iterator[Finding]:
    """Yield the subjects of a source whose cases lie in two pools."""
    facts.connection.execute("CREATE INDEX IF NOT EXISTS subjects ON cases (source, subject, pool)")
    rows = facts.rows(
        "SELECT source, subject, pool, COUNT(*), MIN(position) FROM cases"
        " WHERE subject IS NOT NULL AND (source, subject) IN"
        " (SELECT source, subject FROM cases GROUP BY 1, 2 HAVING COUNT(DISTINCT pool) > 1)"
        " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    for (source, subject), group in groupby(rows, key=lambda row: row[:2]):
        members = list(group)
        pools = [str(pool) for _, _, pool, _, _ in members]
        sizes = ", ".join(f"{count} in {pool}" for _, _, pool, count, _ in members)
        named = facts.rows(
            "SELECT position, pool FROM cases WHERE source = ? AND subject = ?"
            " ORDER BY position LIMIT ?",
            (source, subject, KEPT_CASES),
        )
        yield Finding(
            "subject_in_pools",
            (str(source), str(subject), *pools),
            f"a subject of {source} has cases in {len(pools)} pools: {sizes}",
            tuple((at, ", ".join(other for other in pools if other != own)) for at, own in named),
            sum(int(count) for _, _, _, count, _ in members),
            tuple(
                digest
                for *_, position in members
                for (digest,) in facts.rows(
                    "SELECT digest FROM shown WHERE position = ? LIMIT 1", (position,)
                )
            ),
        )


def contradictions(facts: Facts) -> Iterator[Finding]:
    """Yield the closed questions that have two answers about one image."""
    rows = facts.rows(
        "SELECT image_digest, question_key, answer_key, position, case_id FROM cases"
        " WHERE answer_type = 'closed' AND (image_digest, question_key) IN"
        " (SELECT image_digest, question_key FROM cases WHERE answer_type = 'closed'"
        "  AND image_digest IS NOT NULL GROUP BY 1, 2 HAVING COUNT(DISTINCT answer_key) > 1)"
        " ORDER BY 1, 2, position"
    )
    for (digest, question), group in groupby(rows, key=lambda row: row[:2]):
        members = list(group)
        answers = sorted({str(answer) for _, _, answer, _, _ in members})
        first = members[0]
        yield Finding(
            "contradiction",
            (str(digest), str(question), *answers),
            f"{len(members)} cases ask the same of one image and have {len(answers)} answers",
            tuple((at, first[4]) for _, _, answer, at, _ in members if answer != first[2]),
            images=(str(digest),),
        )


def answers_in_questions(facts: Facts) -> Iterator[Finding]:
    """Yield the questions that hold the right answer's words and no other option's."""
    rows = facts.rows(
        "SELECT question_key, answer_key, position FROM cases WHERE gives_away"
        " ORDER BY 1, 2, position"
    )
    said = "the right answer stands in the question"
    for key, group in groupby(rows, key=lambda row: row[:2]):
        positions = [position for _, _, position in group]
        yield Finding(
            "answer_in_question",
            tuple(map(str, key)),
            f"{said}, in {len(positions)} cases",
            tuple((position, said) for position in positions[:KEPT_CASES]),
            len(positions),
        )
