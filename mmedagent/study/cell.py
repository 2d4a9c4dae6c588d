"""One cell of the study: a row's attending, made and asked on the measured pools with one seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mmedagent.cases.case import SPECIALTIES, Case, Specialty
from mmedagent.consultation.consult import decide
from mmedagent.consultation.doctor import Sampling
from mmedagent.errors import BrokenEvidenceError
from mmedagent.evaluation.roles import gold_roles, merge_roles, random_roles
from mmedagent.evaluation.trust import letter_array
from mmedagent.evaluation.votes import sample_decisions, vote
from mmedagent.models.generate import LocalDoctor
from mmedagent.study.attending import Trained, attending_of
from mmedagent.study.context import POOLS, REPORTED_POOL, Context, Row
from mmedagent.study.folder import read_file, shared_path
from mmedagent.study.panel import Said, cost_of_one, heard
from mmedagent.study.pools import study_cases
from mmedagent.study.routing import Route, route_by
from mmedagent.study.schema import (
    Cell,
    CellSeconds,
    Cost,
    Decisions,
    Shared,
    StageDecisions,
)
from mmedagent.study.shared import letters_of
from mmedagent.study.spec import Spec
from mmedagent.study.starts import cpu_seconds


@dataclass(frozen=True)
class Hearing:
    """What an attending is asked about one pool."""

    pool: str
    cases: list[Case]
    roles: list[Specialty] | None
    """As whom the panel was asked; None where it was asked as all."""
    said: list[Said]
    calls: int
    """Specialist calls of one consultation."""


def run_cell(row: Row, seed: int, context: Context) -> Cell:
    """Train, unless another row has, and measure `row` with `seed` on both pools.

    Raises what training raises, and `BrokenEvidenceError` when the seed was not prepared.
    """
    spec = Spec.model_validate(row.spec)
    shared = read_file(shared_path(context.out, seed), Shared)
    trained = attending_of(spec, seed, context)
    began = cpu_seconds()
    routes = route_by(spec.triage, seed, context)
    asked = _Asked(spec, seed, context, shared, routes)
    pools, after, cost = {}, {}, None
    for pool in POOLS:
        hearing = asked.hear(pool)
        doctor = LocalDoctor(trained.final, batch_size=asked.batch)
        pools[pool] = asked.decisions(doctor, hearing)
        if pool == REPORTED_POOL:
            cost = asked.cost(doctor, hearing)
            after = asked.after_stages(trained, hearing)
    return Cell(
        row=row.name,
        group=row.group,
        seed=seed,
        spec=dict(row.spec),
        revision=context.revision,
        recipe_digest=context.digests["recipe"],
        data_digest=context.digests["data"],
        cpu_seconds=CellSeconds(
            train=trained.cpu_seconds, evaluate=round(cpu_seconds() - began, 2)
        ),
        pools=pools,
        stages={stage: {REPORTED_POOL: said} for stage, said in after.items()},
        curve=trained.curve,
        cost=cost,
    )


@dataclass
class _Asked:
    """How one row asks its attending."""

    spec: Spec
    seed: int
    context: Context
    shared: Shared
    routes: dict[str, Route] | None
    """By pool; None where the seed's shared triage routes."""

    @property
    def batch(self) -> int:
        """How many cases a doctor is asked at once."""
        return self.context.recipe.evaluation.batch_size

    @cached_property
    def sampling(self) -> Sampling:
        recipe = self.context.recipe.evaluation
        return Sampling(
            temperature=recipe.temperature, max_new_tokens=recipe.max_new_tokens, seed=recipe.seed
        )

    def hear(self, pool: str) -> Hearing:
        """Return the pool's cases with what the row's panel says of them."""
        cases = study_cases(self.context, pool)
        specialists = len(self.shared.pools[pool].opinions)
        if self.spec.panel == "all" and self.spec.opinions:
            every = {role: heard(self.context, pool, [role] * len(cases)) for role in SPECIALTIES}
            return Hearing(pool, cases, None, merge_roles(every), specialists * len(every))
        roles = self._roles(pool, cases)
        if not self.spec.opinions:
            return Hearing(pool, cases, roles, [()] * len(cases), 0)
        return Hearing(pool, cases, roles, heard(self.context, pool, roles), specialists)

    def _roles(self, pool: str, cases: list[Case]) -> list[Specialty]:
        if self.spec.panel == "random":
            return random_roles(cases, self.seed)
        if self.spec.panel == "gold":
            return gold_roles(cases)
        if self.routes is not None:
            return self.routes[pool].roles
        return [_known(role) for role in self.shared.pools[pool].role]

    def decisions(self, doctor: LocalDoctor, hearing: Hearing) -> Decisions:
        """Let the attending decide every case, and say what it heard where that is its own."""
        recipe = self.context.recipe.evaluation
        questions = [case.view() for case in hearing.cases]
        count = max(self.spec.votes, recipe.samples)
        draws: list[list[Any]] = []
        if count:
            draws = sample_decisions(
                questions, hearing.said, doctor, self.sampling, recipe.style, count
            )
        voting = self.spec.votes
        final = vote(draws[:voting]) if voting else self._greedy(doctor, hearing)
        own: dict[str, Any] = {}
        if hearing.roles is not None and self._routes_itself:
            own["role"] = tuple(hearing.roles)
        if hearing.said[0] and (hearing.roles is None or self._routes_itself):
            own["opinions"] = letters_of(hearing.said)
        return Decisions(
            greedy=_letters(final),
            sampled=tuple(_letters(draw) for draw in draws[: recipe.samples]),
            **own,
        )

    @property
    def _routes_itself(self) -> bool:
        return self.spec.triage != "trained" or self.spec.panel != "triage"

    def _greedy(self, doctor: LocalDoctor, hearing: Hearing) -> list[Any]:
        recipe = self.context.recipe.evaluation
        greedy = self.sampling.model_copy(update={"temperature": 0.0})
        questions = [case.view() for case in hearing.cases]
        return decide(questions, hearing.said, doctor, greedy, recipe.style)

    def after_stages(self, trained: Trained, hearing: Hearing) -> dict[str, StageDecisions]:
        """Return what the attending decided after each stage before the last, and the last."""
        if not trained.curve or self.spec.votes:
            return {}
        return {
            stage: StageDecisions(
                greedy=_letters(self._greedy(LocalDoctor(path, batch_size=self.batch), hearing))
            )
            for stage, path in trained.stages.items()
        }

    def cost(self, doctor: LocalDoctor, hearing: Hearing) -> Cost:
        """Return what one consultation costs: triage, the panel's calls, the decision."""
        replies = max(1, self.spec.votes)
        spent = doctor.usage
        parts = {
            name: replies * getattr(spent, name) / spent.replies
            for name in ("prompt_tokens", "completion_tokens", "seconds")
        }
        if hearing.calls:
            one = cost_of_one(self.context, hearing.pool)
            parts = {name: value + hearing.calls * one[name] for name, value in parts.items()}
        if hearing.calls and self.spec.panel == "triage":
            routing = self.routes[hearing.pool].cost if self.routes else self.shared.triage
            parts = {name: value + routing[name] for name, value in parts.items()}
        rounded = {name: round(value, 4) for name, value in parts.items()}
        return Cost(specialist_calls=hearing.calls, **rounded)


def _letters(decisions: Sequence[Any]) -> str:
    return "".join(letter_array(decision.letter for decision in decisions))


def _known(role: str | None) -> Specialty:
    """Shared roles are what the panel was asked as, so each names a specialty."""
    for specialty in SPECIALTIES:
        if specialty == role:
            return specialty
    raise BrokenEvidenceError(f"the seed's shared file names no specialty: {role!r}")
