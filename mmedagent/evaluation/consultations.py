"""Runs a pair of doctors over cases, with the consultation that is also served."""

from collections.abc import Sequence
from dataclasses import dataclass

from mmedagent.cases.case import Case, Opinion, Question
from mmedagent.consultation.consult import Consultation, consult, decide, route
from mmedagent.consultation.doctor import Doctor, Panel, Sampling
from mmedagent.evaluation.predictions import GREEDY, Row, answer_columns, opinions_json
from mmedagent.progress import tell
from mmedagent.recipes.evaluation import EvaluationRecipe


@dataclass(frozen=True)
class Doctors:
    """A pair that can be asked."""

    triage: Doctor
    attending: Doctor


def consult_all(
    questions: Sequence[Question],
    doctors: Doctors,
    panel: Panel,
    recipe: EvaluationRecipe,
    name: str,
) -> list[Consultation]:
    """Hold one greedy consultation a question, `recipe.batch_size` at a time."""
    sampling = Sampling(temperature=0.0, max_new_tokens=recipe.max_new_tokens, seed=recipe.seed)
    held: list[Consultation] = []
    for batch in _batches(len(questions), recipe.batch_size):
        tell(batch.start, len(questions), f"{name}: consultations")
        held += consult(
            questions[batch], doctors.triage, panel, doctors.attending, sampling, recipe.style
        )
    return held


def greedy_rows(system: str, cases: Sequence[Case], held: Sequence[Consultation]) -> list[Row]:
    """Return one row a case from its greedy consultation."""
    return [
        {
            **answer_columns(case, said.letter, said.reasoning, said.raw),
            "system": system,
            "sample": GREEDY,
            "role": said.role,
            "chosen_specialty": said.specialty,
            "triage_correct": said.specialty == case.specialty,
            "triage_raw": said.triage_raw,
            "opinions": opinions_json(said.opinions),
            "seconds": sum(said.seconds.values()),
        }
        for case, said in zip(cases, held, strict=True)
    ]


def sampled_rows(
    system: str,
    cases: Sequence[Case],
    held: Sequence[Consultation],
    doctors: Doctors,
    recipe: EvaluationRecipe,
) -> list[Row]:
    """Return `recipe.samples` rows a case: a drawn routing beside a drawn decision.

    The decision is drawn with the opinions of the greedy consultation, so that the sampled
    accuracy of one doctor does not depend on the draws of the other. A policy's greedy reply hides
    how diffuse it is; what training by sampling improves is this.
    """
    rows: list[Row] = []
    questions = [case.view() for case in cases]
    opinions: list[tuple[Opinion, ...]] = [said.opinions for said in held]
    for sample in range(recipe.samples):
        tell(sample, recipe.samples, f"{system}: sampled replies")
        sampling = Sampling(
            temperature=recipe.temperature,
            max_new_tokens=recipe.max_new_tokens,
            seed=recipe.seed + sample,
        )
        routed = route(questions, doctors.triage, sampling, recipe.style)
        decided = decide(questions, opinions, doctors.attending, sampling, recipe.style)
        rows += [
            {
                **answer_columns(case, decision.letter, decision.reasoning, decision.raw),
                "system": system,
                "sample": sample,
                "role": said.role,
                "chosen_specialty": routing.specialty,
                "triage_correct": routing.specialty == case.specialty,
                "triage_raw": routing.raw,
            }
            for case, said, routing, decision in zip(cases, held, routed, decided, strict=True)
        ]
    return rows


def _batches(total: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]
