"""Who names the specialty in a row, and what that costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from filelock import FileLock

from mmedagent.cases.case import Case, Specialty
from mmedagent.consultation.consult import route
from mmedagent.consultation.doctor import Doctor, Sampling
from mmedagent.models.classifier import TriageClassifier
from mmedagent.models.generate import LocalDoctor
from mmedagent.study.context import POOLS, Context
from mmedagent.study.pools import study_cases
from mmedagent.study.starts import seeded, start_of
from mmedagent.training.triage_classifier import train_supervised_triage, train_triage_classifier


@dataclass(frozen=True)
class Route:
    """One pool routed."""

    roles: list[Specialty]
    """As whom the panel is asked."""
    cost: dict[str, float]
    """Of one routing: prompt_tokens, completion_tokens, seconds."""


def route_by(
    kind: Literal["trained", "start", "classifier", "supervised"], seed: int, context: Context
) -> dict[str, Route] | None:
    """Route the measured pools with another triage than the trained one; None for that one.

    What routes is trained if it is not there.
    """
    if kind == "trained":
        return None
    doctor = _doctor(kind, seed, context)
    roles = {pool: greedy_routes(doctor, study_cases(context, pool), context) for pool in POOLS}
    cost = cost_per_reply(doctor)
    return {pool: Route(routed, cost) for pool, routed in roles.items()}


def _doctor(
    kind: Literal["start", "classifier", "supervised"], seed: int, context: Context
) -> LocalDoctor | TriageClassifier:
    start, batch = start_of("triage", seed, context), context.recipe.evaluation.batch_size
    if kind == "start":
        return LocalDoctor(start, batch_size=batch)
    folder, work = (context.seed_work(seed) / f"triage-{kind}{end}" for end in ("", ".work"))
    recipes = context.recipe.trained_baselines
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            if kind == "classifier":
                plain = seeded(recipes.triage_classifier, seed, context)
                train_triage_classifier(context.cases, context.base, plain, folder, work)
            else:
                tuned = seeded(recipes.triage_supervised, seed, context)
                train_supervised_triage(context.cases, start, tuned, folder, work)
    if kind == "classifier":
        return TriageClassifier.load(folder, batch_size=batch)
    return LocalDoctor(folder, batch_size=batch)


def greedy_routes(doctor: Doctor, cases: Sequence[Case], context: Context) -> list[Specialty]:
    """Return as whom the panel is asked when `doctor` triages, greedily."""
    sampling = Sampling(max_new_tokens=context.recipe.evaluation.max_new_tokens)
    style = context.recipe.evaluation.style
    routings = route([case.view() for case in cases], doctor, sampling, style)
    return [routing.role for routing in routings]


def cost_per_reply(doctor: LocalDoctor | TriageClassifier) -> dict[str, float]:
    """Return tokens and seconds of one of the replies that `doctor` has given so far."""
    spent = doctor.usage
    names = ("prompt_tokens", "completion_tokens", "seconds")
    return {name: round(getattr(spent, name) / max(1, spent.replies), 4) for name in names}
