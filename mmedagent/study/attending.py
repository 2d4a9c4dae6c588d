"""The attending of each row: trained once for all rows of a seed that train alike.

Rows that differ only in how the attending is asked (random specialty, votes, earlier stages) share
its weights. A folder is named by what decides them, and locked while it is made.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from mmedagent.atomic import write_json
from mmedagent.cases.case import Case
from mmedagent.cases.store import read_multiple_choice
from mmedagent.digests import digest_value
from mmedagent.panel.curriculum import agreement_of
from mmedagent.panel.table import read_opinions, tier_of
from mmedagent.recipes.training import STAGES, AttendingRecipe
from mmedagent.study.context import Context
from mmedagent.study.panel import Said, labels
from mmedagent.study.schema import CurvePoint
from mmedagent.study.spec import Spec
from mmedagent.study.starts import cpu_seconds, quick_stages, seeded, start_of
from mmedagent.training.attending import brought_in, reference_of, stage_tasks
from mmedagent.training.curves import FILE, read_curves
from mmedagent.training.grpo import train
from mmedagent.training.reward import names_option
from mmedagent.training.supervised_attending import train_supervised_attending

STEPS_A_POINT = 5
"""Optimiser steps that one point of a curve is the mean of."""


@dataclass(frozen=True)
class Trained:
    """A row's attending after each of its stages, in order; the last is the one to measure."""

    stages: dict[str, Path]
    curve: tuple[CurvePoint, ...]
    cpu_seconds: float
    """Of its training, whichever row did it."""

    @property
    def final(self) -> Path:
        """The model folder to measure."""
        return list(self.stages.values())[-1]


def attending_of(spec: Spec, seed: int, context: Context) -> Trained:
    """Return the attending that `spec` asks for, trained if no other row has done it."""
    if spec.attending == "start":
        return Trained({"start": start_of("attending", seed, context)}, (), 0.0)
    recipe = spec.recipe(context.recipe.training.attending, seed)
    if context.quick:
        recipe = recipe.model_copy(update={"steps": quick_stages()})
    if spec.attending == "supervised":
        return _supervised(spec.opinions, seed, context)
    deciding = [recipe.model_dump(mode="json"), spec.opinions]
    folder = context.seed_work(seed) / f"attending-{digest_value(deciding)[:16]}"
    with FileLock(f"{folder}.lock"):
        stages, spent = _rl(recipe, spec.opinions, seed, context, folder)
    last = STAGES.index(spec.stage)
    kept = {stage: path for stage, path in stages.items() if STAGES.index(stage) <= last}
    seconds = sum(value for stage, value in spent.items() if stage in kept)
    if not kept:  # the tiers of these stages have no cases
        return Trained({"start": start_of("attending", seed, context)}, (), 0.0)
    return Trained(kept, _curve(kept), round(seconds, 2))


def _rl(
    recipe: AttendingRecipe, opinions: bool, seed: int, context: Context, folder: Path
) -> tuple[dict[Any, Path], dict[str, float]]:
    """Train the stages that are not there yet; return their models and their CPU seconds."""
    pool, said = training_cases(context)
    tiers = [tier_of(agreement_of(case, each)) for case, each in zip(pool, said, strict=True)]
    heard: Sequence[Said] = said if opinions else [()] * len(pool)
    start = weights = start_of("attending", seed, context)
    stages: dict[Any, Path] = {}
    spent: dict[str, float] = {}
    for stage in STAGES:
        if not set(brought_in(stage, recipe)) & set(tiers):
            continue
        out, note = folder / stage, folder / f"{stage}.json"
        if not note.exists():
            shutil.rmtree(out, ignore_errors=True)  # killed between the model and its note
            began = cpu_seconds()
            tasks = stage_tasks(stage, pool, tiers, heard, recipe)
            train(
                tasks, names_option, weights, recipe, getattr(recipe.steps, stage), stage=stage,
                out=out, work=folder / f"{stage}.work",
                reference=reference_of(weights, start, recipe),
            )  # fmt: skip
            shutil.rmtree(folder / f"{stage}.work")
            write_json(note, {"cpu_seconds": round(cpu_seconds() - began, 2)})
        stages[stage] = weights = out
        spent[stage] = json.loads(note.read_text())["cpu_seconds"]
    return stages, spent


def _supervised(opinions: bool, seed: int, context: Context) -> Trained:
    recipes = context.recipe.trained_baselines
    plain = recipes.supervised_with_opinions if opinions else recipes.supervised_without_opinions
    recipe = seeded(plain, seed, context)
    name = f"supervised-{digest_value(recipe.model_dump(mode='json'))[:16]}"
    out, work, note = (context.seed_work(seed) / f"{name}{end}" for end in ("", ".work", ".json"))
    with FileLock(f"{out}.lock"):
        if not note.exists():
            shutil.rmtree(out, ignore_errors=True)
            began = cpu_seconds()
            start = start_of("attending", seed, context)
            said = labels(context) if opinions else None
            train_supervised_attending(context.cases, said, start, recipe, out, work)
            write_json(note, {"cpu_seconds": round(cpu_seconds() - began, 2)})
    return Trained({"supervised": out}, (), json.loads(note.read_text())["cpu_seconds"])


def training_cases(context: Context) -> tuple[list[Case], list[Said]]:
    """Return the train pool and what the panel said of it."""
    pool = read_multiple_choice(context.cases, ["train"])
    said = read_opinions(labels(context))
    return pool, [said[case.case_id] for case in pool]


def _curve(stages: dict[Any, Path]) -> tuple[CurvePoint, ...]:
    points: list[CurvePoint] = []
    before = 0
    for stage, path in stages.items():
        records = read_curves(path / FILE)
        for first in range(0, len(records), STEPS_A_POINT):
            part = records[first : first + STEPS_A_POINT]
            means = {
                name: _mean([record[name] for record in part if record.get(name) is not None])
                for name in ("reward", "accuracy", "entropy", "kl", "zero_variance_share")
            }
            points.append(CurvePoint(stage=stage, step=before + part[-1]["step"], **means))
        before += len(records)
    return tuple(points)


def _mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None
