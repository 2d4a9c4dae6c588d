"""Runs a pair of doctors over cases, with the consultation that is also served."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mmedagent.cases.case import Case, Question
from mmedagent.consultation.consult import Consultation, Decision, consult, decide, route
from mmedagent.consultation.doctor import Panel, Sampling
from mmedagent.evaluation.cost import Cost, charge, spent_since, usage_of
from mmedagent.evaluation.predictions import GREEDY, Row, answer_columns, opinions_json
from mmedagent.evaluation.systems import Doctors
from mmedagent.progress import tell
from mmedagent.recipes.evaluation import EvaluationRecipe


@dataclass
class Held:
    """Consultations that took place, and what each cost on average in its batch."""

    said: list[Consultation] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)


def consult_all(
    questions: Sequence[Question],
    doctors: Doctors,
    panel: Panel,
    recipe: EvaluationRecipe,
    name: str,
) -> Held:
    """Hold one greedy consultation a question, `recipe.batch_size` at a time."""
    held = Held()
    parts = {"triage": doctors.triage, "panel": panel, "attending": doctors.attending}
    for batch in batches(len(questions), recipe.batch_size):
        tell(batch.start, len(questions), f"{name}: consultations")
        before = {stage: usage_of(part) for stage, part in parts.items()}
        said = consult(
            questions[batch], doctors.triage, panel, doctors.attending, greedy(recipe), recipe.style
        )
        cost: Cost = {
            stage: spent_since(part, before[stage], len(said)) for stage, part in parts.items()
        }
        held.said += said
        held.costs += [cost] * len(said)
    return held


def greedy(recipe: EvaluationRecipe) -> Sampling:
    """Return how greedy replies are asked for."""
    return Sampling(temperature=0.0, max_new_tokens=recipe.max_new_tokens, seed=recipe.seed)


def sampled(recipe: EvaluationRecipe, sample: int) -> Sampling:
    """Return how the sampled replies number `sample`, from 0, are asked for."""
    return Sampling(
        temperature=recipe.temperature,
        max_new_tokens=recipe.max_new_tokens,
        seed=recipe.seed + sample,
    )


def greedy_rows(system: str, cases: Sequence[Case], held: Held) -> list[Row]:
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
            **charge(cost),
        }
        for case, said, cost in zip(cases, held.said, held.costs, strict=True)
    ]


def sampled_rows(
    system: str,
    cases: Sequence[Case],
    held: Held,
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
    opinions = [said.opinions for said in held.said]
    for sample in range(recipe.samples):
        tell(sample, recipe.samples, f"{system}: sampled replies")
        drawn = sampled(recipe, sample)
        routed = route(questions, doctors.triage, drawn, recipe.style)
        decided = decide(questions, opinions, doctors.attending, drawn, recipe.style)
        rows += [
            {
                **decision_columns(case, decision),
                "system": system,
                "sample": sample,
                "role": said.role,
                "chosen_specialty": routing.specialty,
                "triage_correct": routing.specialty == case.specialty,
                "triage_raw": routing.raw,
            }
            for case, said, routing, decision in zip(cases, held.said, routed, decided, strict=True)
        ]
    return rows


def decision_columns(case: Case, decision: Decision) -> Row:
    """Return the columns of an attending's decision on `case`."""
    columns = answer_columns(case, decision.letter, decision.reasoning, decision.raw)
    return {**columns, "agreement": decision.agreement}


def batches(total: int, size: int) -> list[slice]:
    """Return the slices that cut `total` things into pieces of `size`."""
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]
