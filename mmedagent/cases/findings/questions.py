"""Cases that say too much or contradict each other, and subjects that several pools share."""

from collections.abc import Iterator
from itertools import groupby

from mmedagent.cases.facts import Facts
from mmedagent.cases.findings.finding import KEPT_CASES, Finding

_LEARNING = "('train', 'warm_start', 'panel')"
_HIDDEN = """
CREATE TEMP TABLE IF NOT EXISTS pairs_of_images (one TEXT, two TEXT);
DELETE FROM pairs_of_images;
INSERT INTO pairs_of_images
    SELECT digest, digest FROM picture_pools GROUP BY digest HAVING COUNT(*) > 1;
INSERT INTO pairs_of_images SELECT one, two FROM alike;
INSERT INTO pairs_of_images SELECT two, one FROM alike;
"""
_HIDDEN_PAIRS = f"""
SELECT DISTINCT measured.image_digest, measured.question_key, measured.answer_key,
    measured.position, measured.case_id, learned.position, learned.case_id, pairs_of_images.two
FROM pairs_of_images
JOIN shown AS there ON there.digest = pairs_of_images.one AND there.pool = 'test'
JOIN shown AS here ON here.digest = pairs_of_images.two AND here.pool IN {_LEARNING}
JOIN cases AS measured ON measured.position = there.position
JOIN cases AS learned ON learned.position = here.position
WHERE measured.question_key = learned.question_key AND measured.answer_key = learned.answer_key
ORDER BY 1, 2, 3, 4, 6
"""


def hidden_cases(facts: Facts) -> Iterator[Finding]:
    """Yield the test cases whose picture, question and answer a learning pool has, too.

    The picture may have another name, format or size: those that `pictures` found alike count.
    """
    facts.connection.executescript(_HIDDEN)
    rows = facts.rows(_HIDDEN_PAIRS)
    for key, group in groupby(rows, key=lambda row: row[:3]):
        cases: dict[int, str] = {}
        images = {str(key[0])}
        for _, _, _, measured, measured_id, learned, learned_id, image in group:
            cases.setdefault(measured, str(learned_id))
            cases.setdefault(learned, str(measured_id))
            images.add(str(image))
        yield Finding(
            "hidden_case",
            tuple(map(str, key)),
            f"{len(cases)} cases of test and a learning pool have one picture, question and answer",
            tuple(cases.items())[:KEPT_CASES],
            len(cases),
            tuple(sorted(images)),
        )


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
