"""What a pair of doctors must be compared with: the panel alone, text alone, other options' order.

METHOD, section 'What reviewers and readers found missing', items 4 and 6.
"""

import io
import random
from collections.abc import Sequence

from PIL import Image

from mmedagent.cases.case import LETTERS, SPECIALTIES, Case, Opinion, Question, Specialty
from mmedagent.consultation.consult import Consultation, majority_vote
from mmedagent.digests import digest_value
from mmedagent.evaluation.cost import Cost, charge, shared
from mmedagent.evaluation.predictions import GREEDY, Row, answer_columns, opinions_json

MAJORITY = "panel_majority"
SPECIALIST = "specialist:"
RIGHT_ROLE = "right_role:"
WRONG_ROLE = "wrong_role:"


def panel_rows(
    cases: Sequence[Case],
    opinions: Sequence[Sequence[Opinion]],
    prefix: str,
    costs: Sequence[Cost] | None = None,
) -> list[Row]:
    """Return one row a case and specialist: its opinion taken as the decision.

    `costs` are those of routing and of asking the whole panel; each specialist is charged an equal
    part of the latter.
    """
    rows = []
    for number, (case, said) in enumerate(zip(cases, opinions, strict=True)):
        cost = costs[number] if costs else {}
        charged = charge(shared(cost, len(said)))
        for opinion in said:
            row = answer_columns(case, opinion.letter, opinion.reasoning, opinion.raw)
            system = prefix + opinion.specialist
            rows.append(
                {**row, **charged, "system": system, "sample": GREEDY, "role": opinion.role}
            )
    return rows


def majority_rows(
    cases: Sequence[Case],
    opinions: Sequence[Sequence[Opinion]],
    costs: Sequence[Cost] | None = None,
) -> list[Row]:
    """Return one row a case: the letter that most of the panel chose (ties: panel order).

    `costs` are those of routing and of asking the panel.
    """
    return [
        {
            **answer_columns(case, majority_vote(said)),
            **charge(cost),
            "system": MAJORITY,
            "sample": GREEDY,
            "role": said[0].role if said else None,
            "opinions": opinions_json(said),
        }
        for case, said, cost in zip(cases, opinions, costs or [{}] * len(cases), strict=True)
    ]


def grey_image(image: bytes) -> bytes:
    """Return a constant grey PNG of the same size: what is left is the text."""
    with Image.open(io.BytesIO(image)) as opened:
        size = opened.size
    buffer = io.BytesIO()
    Image.new("RGB", size, (128, 128, 128)).save(buffer, format="PNG")
    return buffer.getvalue()


def text_only(case: Case) -> Question:
    """Return the case's question about grey images."""
    return case.view().model_copy(update={"images": tuple(map(grey_image, case.images))})


def permutation(case: Case, seed: int) -> tuple[int, ...]:
    """Return where each option of the permuted question comes from; never the identity."""
    order = list(range(len(case.options)))
    generator = random.Random(int(digest_value([seed, case.case_id])[:16], 16))
    while order == sorted(order):
        generator.shuffle(order)
    return tuple(order)


def permuted(case: Case, order: Sequence[int]) -> Question:
    """Return the case's question with its options in another order."""
    options = tuple(case.options[index] for index in order)
    return Question(images=case.images, question=case.question, options=options)


def restored(said: Consultation, order: Sequence[int]) -> Consultation:
    """Translate the letters of a permuted question's consultation to those of its case."""
    opinions = tuple(
        opinion.model_copy(update={"letter": _original(opinion.letter, order)})
        for opinion in said.opinions
    )
    letter = _original(said.letter, order)
    return said.model_copy(update={"letter": letter, "opinions": opinions})


def wrong_roles(cases: Sequence[Case]) -> list[Specialty]:
    """Return a wrong specialty for each case: the next one that occurs among `cases`.

    With a single specialty in all cases, the next of the paper's seven.
    """
    present = [s for s in SPECIALTIES if any(case.specialty == s for case in cases)]
    ring = present if len(present) > 1 else list(SPECIALTIES)
    following = {s: ring[(number + 1) % len(ring)] for number, s in enumerate(ring)}
    return [following[case.specialty] for case in cases]


def _original(letter: str | None, order: Sequence[int]) -> str | None:
    return None if letter is None else LETTERS[order[LETTERS.index(letter)]]
