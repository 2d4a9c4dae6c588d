"""The study's files: small JSON from which alone its page is made.

Decisions are strings of one character a case, in the order of the pool's `case_ids`: the option's
letter, or `-` for a reply that names none. Specialties are written the same way, by `CODES`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic import model_validator as check

from mmedagent.cases.case import SPECIALTIES

NO_LETTER = "-"
CODES: dict[str, str] = dict(zip(SPECIALTIES, "PRSOEYD", strict=True))
"""Specialty -> its character in a file; Y is the eye's."""
_NAMES = {code: name for name, code in CODES.items()}

Group = Literal["factorial", "cleaning", "paper", "baseline"]


def _letters(text: str) -> str:
    wrong = re.search(r"[^A-Z-]", text)
    if wrong:
        raise ValueError(
            f"character {wrong.start() + 1} is {wrong.group()!r}; it must be A to Z, or - for none"
        )
    return text


def _decode(value: Any) -> Any:
    """Read specialties from their codes; names are taken as they are."""
    if not isinstance(value, str):
        return value
    unknown = set(value) - set(_NAMES) - {NO_LETTER}
    if unknown:
        raise ValueError(f"unknown specialty codes {sorted(unknown)}; known are {_NAMES}")
    return tuple(_NAMES.get(code) for code in value)


def _known(names: tuple[str | None, ...]) -> tuple[str | None, ...]:
    unknown = {name for name in names if name is not None} - set(CODES)
    if unknown:
        raise ValueError(f"unknown specialties {sorted(unknown)}; known are {list(CODES)}")
    return names


def _encode(names: tuple[str | None, ...]) -> str:
    return "".join(NO_LETTER if name is None else CODES[name] for name in names)


Letters = Annotated[str, AfterValidator(_letters)]
Roles = Annotated[
    tuple[str | None, ...],
    BeforeValidator(_decode),
    AfterValidator(_known),
    PlainSerializer(_encode, return_type=str, when_used="json"),
]
"""Specialty names in memory, one character each in a file; None where triage named none."""
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _File(_Part):
    """What lies in one file: it says which layout it has."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    layout: Literal[1] = Field(default=1, alias="schema")


class Study(_File):
    """`study.json`: what all cells of a study have in common."""

    recipe: str
    settings: dict[str, Any]
    """The recipe's sections that decide a cell, spelt out."""
    recipe_digest: str
    """Over `settings` and `quick`."""
    data_digest: str
    panel_digest: str
    base_digest: str
    pools: Annotated[tuple[str, ...], Field(min_length=1)]
    """The measured pools; everything is chosen on the first and reported on the last."""
    overrides: tuple[str, ...] = ()
    """As given on the command line, `training.attending.steps.hard=60`."""
    quick: bool = False
    """Made to check the machinery: no science."""


class Pool(_File):
    """`pool-<pool>.json`: the measured cases, without their images and questions."""

    pool: str
    case_ids: tuple[str, ...]
    gold: Letters
    clusters: tuple[int, ...]
    """The number of each case's image: what one bootstrap draw takes whole."""
    specialty: Roles
    """Gold, from the image's modality."""
    question_type: tuple[str, ...]
    familiar: tuple[Literal[0, 1], ...]
    """1 where a doctor was trained on other images of the same source (the package, the study)."""

    @check(mode="after")
    def _aligned(self) -> Self:
        size = len(self.case_ids)
        if not size:
            raise ValueError("case_ids: no cases")
        if len(set(self.case_ids)) != size:
            raise ValueError("case_ids: a case is repeated")
        for name in ("gold", "clusters", "specialty", "question_type", "familiar"):
            _same_length(name, getattr(self, name), size)
        if NO_LETTER in self.gold or None in self.specialty:
            raise ValueError("gold and specialty: every case has one")
        return self

    @property
    def size(self) -> int:
        """The number of cases."""
        return len(self.case_ids)


class SharedPool(_Part):
    """What one seed's triage and panel say of one pool."""

    role: Roles
    """The specialty that the trained triage chose, greedily."""
    opinions: dict[str, Letters]
    """Specialist -> the letters it chose in that specialty, in the panel's order."""


class Shared(_File):
    """`shared/seed-<s>.json`: what all cells of one seed start from."""

    seed: Annotated[int, Field(ge=0)]
    revision: str
    cpu_seconds: dict[str, Seconds]
    pools: dict[str, SharedPool]
    best_specialist: str
    """Chosen on the validation pool."""
    triage: dict[str, Any] = {}
    """Figures of the triage doctor."""

    @check(mode="after")
    def _best_is_known(self) -> Self:
        for pool, said in self.pools.items():
            if self.best_specialist not in said.opinions:
                raise ValueError(
                    f"best_specialist: {self.best_specialist!r} is none of {pool}'s"
                    f" {list(said.opinions)}"
                )
        return self


class Decisions(_Part):
    """What a row decided on one pool."""

    greedy: Letters
    """For a row that votes: the vote."""
    sampled: tuple[Letters, ...] = ()
    """Further decisions, sampled at temperature 1."""
    role: Roles | None = None
    """The specialty that the panel was asked in, where it is not the seed's shared one."""
    opinions: dict[str, Letters] | None = None
    """The opinions that were heard, where they are not the seed's shared ones."""


class StageDecisions(_Part):
    """What the attending decided on one pool after one stage."""

    greedy: Letters


class CurvePoint(_Part):
    """Means over a few optimiser steps; `step` is the last of them, counted over all stages."""

    stage: str
    step: Annotated[int, Field(ge=0)]
    reward: Finite | None = None
    accuracy: Finite | None = None
    entropy: Finite | None = None
    """Nats per token."""
    kl: Finite | None = None
    zero_variance_share: Share | None = None
    """Groups whose rollouts all earned the same."""


class Cost(_Part):
    """What one consultation costs, on average over the reported pool."""

    specialist_calls: Seconds
    prompt_tokens: Seconds
    completion_tokens: Seconds
    seconds: Seconds


class CellSeconds(_Part):
    """CPU seconds of a cell, without what its seed shares."""

    train: Seconds
    evaluate: Seconds

    @property
    def total(self) -> float:
        """Both together."""
        return self.train + self.evaluate


class Cell(_File):
    """`cells/<row>/seed-<s>.json`: one row trained and measured with one seed."""

    row: str
    group: Group
    seed: Annotated[int, Field(ge=0)]
    spec: dict[str, Any]
    revision: str
    recipe_digest: str
    data_digest: str
    cpu_seconds: CellSeconds
    pools: dict[str, Decisions]
    stages: dict[str, dict[str, StageDecisions]] = {}
    """Stage -> pool -> decisions after it; rows without stages have none."""
    curve: tuple[CurvePoint, ...] = ()
    cost: Cost | None = None


def misfits(value: Shared | Cell, pools: Mapping[str, Pool]) -> list[str]:
    """Return, one message a field, where `value` does not fit the measured pools."""
    found = []
    if set(value.pools) != set(pools):
        found.append(f"pools: has {sorted(value.pools)}, the study measures {sorted(pools)}")
    for path, pool, sequence in _sequences(value):
        if pool in pools and len(sequence) != pools[pool].size:
            found.append(f"{path}: {len(sequence)} cases; pool {pool} has {pools[pool].size}")
    return found


def _sequences(value: Shared | Cell) -> list[tuple[str, str, Sequence[Any]]]:
    """Return (path, pool, sequence) of everything that has one entry a case."""
    found: list[tuple[str, str, Sequence[Any]]] = []
    for pool, part in value.pools.items():
        if part.role is not None:
            found.append((f"pools.{pool}.role", pool, part.role))
        for name, letters in (part.opinions or {}).items():
            found.append((f"pools.{pool}.opinions.{name}", pool, letters))
        if isinstance(part, Decisions):
            found.append((f"pools.{pool}.greedy", pool, part.greedy))
            for number, letters in enumerate(part.sampled):
                found.append((f"pools.{pool}.sampled.{number}", pool, letters))
    if isinstance(value, Cell):
        for stage, by_pool in value.stages.items():
            for pool, after in by_pool.items():
                found.append((f"stages.{stage}.{pool}.greedy", pool, after.greedy))
    return found


def _same_length(name: str, values: Sequence[Any], size: int) -> None:
    if len(values) != size:
        raise ValueError(f"{name}: {len(values)} entries for {size} cases")
