"""The baselines that change one thing of the challenger's consultation: docs/evaluation.md.

Where triage and panel are the challenger's, its consultations are taken up after the opinions: a
greedy triage and a stored opinion would be the same again, so only the decision is asked.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from mmedagent.consultation.consult import Decision, decide
from mmedagent.errors import UsageError
from mmedagent.evaluation.bench import Bench, Heard, alone, as_challenger, in_all_roles, in_roles
from mmedagent.evaluation.consultations import (
    consult_all,
    decision_columns,
    greedy,
    greedy_rows,
    sampled,
    sampled_rows,
)
from mmedagent.evaluation.cost import Cost, charge, spent_since, usage_of
from mmedagent.evaluation.predictions import GREEDY, Row, opinions_json
from mmedagent.evaluation.roles import gold_roles, random_roles
from mmedagent.evaluation.systems import Model, System
from mmedagent.evaluation.votes import sample_decisions, vote
from mmedagent.progress import tell
from mmedagent.recipes.evaluation import OF_A_RUN, OF_THEIR_OWN, Baseline, EvaluationRecipe

Variant = Callable[[Bench, str], list[Row]]


def require_models(recipe: EvaluationRecipe, models: Mapping[str, object]) -> None:
    """See that every baseline of `recipe` that is a model of its own has one.

    Raises `UsageError` for one that has none, and for a model whose baseline is unknown.
    """
    own = OF_A_RUN | OF_THEIR_OWN
    if lacking := [n for n in recipe.baselines if n in own and n not in models]:
        raise UsageError(
            f"evaluation.baselines: {', '.join(lacking)}: give the model folder in `models`, or"
            " leave the name out"
        )
    if unknown := sorted(set(models) - own):
        raise UsageError(
            f"models: no baseline named {', '.join(unknown)} is a model of its own; these are:"
            f" {', '.join(sorted(own))}"
        )


def variant_key(name: Baseline, bench: Bench) -> str:
    """Return what decides a variant's rows beside data, panel, prompts and sampling, as text."""
    parts = [name, bench.challenger.digest]
    if name in bench.models:
        parts.append(bench.models[name].digest)
    if name == "no_attending_rl":
        parts.append(bench.systems["start"].attending.digest)
    if name.endswith("_vote"):
        parts.append(str(bench.recipe.votes))
    if name == "all_specialties":
        parts += bench.recipe.all_roles
    return " ".join(parts)


def variant_rows(name: Baseline, bench: Bench) -> list[Row]:
    """Return the rows of the baseline `name`."""
    return _VARIANTS[name](bench, name)


def _of_model(hear: Callable[[Bench], Heard], bench: Bench, name: str) -> list[Row]:
    return _decided(bench, name, bench.models[name], hear(bench))


def _of_start(bench: Bench, name: str) -> list[Row]:
    return _decided(bench, name, bench.systems["start"].attending, as_challenger(bench))


def _without_specialists(bench: Bench, name: str) -> list[Row]:
    return _decided(bench, name, bench.challenger.attending, alone(bench))


def _random(bench: Bench, name: str) -> list[Row]:
    heard = in_roles(bench, name, random_roles(bench.cases, bench.recipe.seed))
    return _decided(bench, name, bench.challenger.attending, heard)


def _gold(bench: Bench, name: str) -> list[Row]:
    heard = in_roles(bench, name, gold_roles(bench.cases))
    return _decided(bench, name, bench.challenger.attending, heard)


def _all_roles(bench: Bench, name: str) -> list[Row]:
    return _decided(bench, name, bench.challenger.attending, in_all_roles(bench, name))


def _other_triage(bench: Bench, name: str) -> list[Row]:
    """Hold whole consultations: the model routes, the challenger's attending decides."""
    doctors = System(bench.models[name], bench.challenger.attending).load()
    held = consult_all(bench.questions, doctors, bench.panel, bench.recipe, name)
    rows = greedy_rows(name, bench.cases, held)
    return rows + sampled_rows(name, bench.cases, held, doctors, bench.recipe)


def _voted(hear: Callable[[Bench], Heard], bench: Bench, name: str) -> list[Row]:
    """Return the rows of a vote of the challenger's attending: one a case, marked greedy."""
    heard, recipe = hear(bench), bench.recipe
    attending = bench.challenger.attending.load()
    before = usage_of(attending)
    draws = sample_decisions(
        bench.questions,
        heard.opinions,
        attending,
        sampled(recipe, 0),
        recipe.style,
        recipe.votes,
        name,
    )
    spent = spent_since(attending, before, len(bench.cases))
    costs: list[Cost] = [{**cost, "attending": spent} for cost in heard.costs]
    return _rows(bench, name, heard, vote(draws), GREEDY, costs)


def _decided(bench: Bench, name: str, model: Model, heard: Heard) -> list[Row]:
    """Return the rows of one attending on what was heard: greedy ones, then sampled ones."""
    recipe, attending = bench.recipe, model.load()
    tell(0, recipe.samples + 1, f"{name}: decisions")
    before = usage_of(attending)
    ask = partial(decide, bench.questions, heard.opinions, attending, style=recipe.style)
    decisions = ask(greedy(recipe))
    spent = spent_since(attending, before, len(bench.cases))
    costs: list[Cost] = [{**cost, "attending": spent} for cost in heard.costs]
    rows = _rows(bench, name, heard, decisions, GREEDY, costs)
    for sample in range(recipe.samples):
        tell(sample + 1, recipe.samples + 1, f"{name}: sampled decisions")
        rows += _rows(bench, name, heard, ask(sampled(recipe, sample)), sample)
    return rows


def _rows(
    bench: Bench,
    name: str,
    heard: Heard,
    decisions: Sequence[Decision],
    sample: int,
    costs: Sequence[Cost] | None = None,
) -> list[Row]:
    """Return one row a decision; where the challenger's triage routed, with its columns."""
    rows = [
        {**decision_columns(case, decision), "system": name, "sample": sample, "role": role}
        for case, decision, role in zip(bench.cases, decisions, heard.roles, strict=True)
    ]
    if heard.routed:
        columns = ("chosen_specialty", "triage_correct", "triage_raw")
        routed = zip(rows, bench.own_of(sample), strict=True)
        rows = [{**row, **{key: own[key] for key in columns}} for row, own in routed]
    if costs is not None:
        rows = [
            {**row, **charge(cost), "opinions": opinions_json(said)}
            for row, said, cost in zip(rows, heard.opinions, costs, strict=True)
        ]
    return rows


_VARIANTS: Mapping[Baseline, Variant] = {
    "no_attending_rl": _of_start,
    "easy_only": partial(_of_model, as_challenger),
    "easy_and_medium": partial(_of_model, as_challenger),
    "without_c_marl": partial(_of_model, as_challenger),
    "supervised_with_opinions": partial(_of_model, as_challenger),
    "supervised_without_opinions": partial(_of_model, alone),
    "without_specialists": _without_specialists,
    "self_vote": partial(_voted, alone),
    "challenger_vote": partial(_voted, as_challenger),
    "random_specialty": _random,
    "all_specialties": _all_roles,
    "gold_specialty": _gold,
    "triage_classifier": _other_triage,
    "triage_supervised": _other_triage,
}
