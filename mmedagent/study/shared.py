"""What all cells of one seed share: labels, both Starts, the trained triage and its routing."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mmedagent.atomic import write_json
from mmedagent.consultation.consult import route
from mmedagent.consultation.doctor import Sampling
from mmedagent.evaluation.trust import letter_array
from mmedagent.models.generate import LocalDoctor
from mmedagent.study.context import POOLS, REPORTED_POOL, SELECTION_POOL, Context
from mmedagent.study.panel import Said, ask_everything, heard, labels
from mmedagent.study.pools import study_cases
from mmedagent.study.routing import cost_per_reply, greedy_routes
from mmedagent.study.schema import Shared, SharedPool
from mmedagent.study.starts import QUICK_STEPS, cpu_seconds, start_of
from mmedagent.training.triage import train_triage


def prepare_seed(seed: int, context: Context) -> Shared:
    """Train what the cells of `seed` start from, and hear the panel on the measured pools.

    Everything stays in the study's work folder; what is there is not made again.
    """
    work: dict[str, Callable[[], object]] = {
        "labels": partial(labels, context),
        "warm_start_triage": partial(start_of, "triage", seed, context),
        "warm_start_attending": partial(start_of, "attending", seed, context),
        "triage": partial(trained_triage, seed, context),
        "panel": partial(ask_everything, context, POOLS),
    }
    note = context.seed_work(seed) / "seconds.json"
    seconds: dict[str, float] = json.loads(note.read_text()) if note.exists() else {}
    for name, do in work.items():
        began = cpu_seconds()
        do()
        # What was made before a restart takes nothing now: its seconds are the first ones.
        seconds[name] = max(seconds.get(name, 0.0), round(cpu_seconds() - began, 2))
        write_json(note, seconds)
    doctor = LocalDoctor(
        trained_triage(seed, context), batch_size=context.recipe.evaluation.batch_size
    )
    pools = {}
    for pool in POOLS:
        roles = greedy_routes(doctor, study_cases(context, pool), context)
        said = heard(context, pool, roles)
        pools[pool] = SharedPool(role=tuple(roles), opinions=letters_of(said))
    return Shared(
        seed=seed,
        revision=context.revision,
        cpu_seconds=seconds,
        pools=pools,
        best_specialist=_best(context, pools[SELECTION_POOL]),
        triage=_height(seed, doctor, context),
    )


def trained_triage(seed: int, context: Context) -> Path:
    """Return the triage doctor that reinforcement learning made for `seed`."""
    folder = context.seed_work(seed) / "triage"
    if not folder.exists():
        recipe = context.recipe.training.triage.model_copy(update={"seed": seed})
        if context.quick:
            recipe = recipe.model_copy(update={"steps": QUICK_STEPS})
        start, work = start_of("triage", seed, context), context.seed_work(seed) / "triage.work"
        train_triage(context.cases, start, recipe, folder, work)
    return folder


def letters_of(said: Sequence[Said]) -> dict[str, str]:
    """Return opinions on cases in the study's way: specialist -> one character a case."""
    names = [opinion.specialist for opinion in said[0]]
    return {
        name: "".join(letter_array(each[number].letter for each in said))
        for number, name in enumerate(names)
    }


def _best(context: Context, said: SharedPool) -> str:
    """Return the specialist that is right most often; of equals the first of the panel."""
    gold = "".join(case.letter for case in study_cases(context, SELECTION_POOL))
    right = {
        name: sum(a == b for a, b in zip(letters, gold, strict=True))
        for name, letters in said.opinions.items()
    }
    return max(right, key=lambda name: right[name])


def _height(seed: int, trained: LocalDoctor, context: Context) -> dict[str, float]:
    """Return how often triage names the gold specialty on the reported pool, and what it costs."""
    start = LocalDoctor(
        start_of("triage", seed, context), batch_size=context.recipe.evaluation.batch_size
    )
    cases = study_cases(context, REPORTED_POOL)
    recipe = context.recipe.evaluation
    figures = {}
    for name, doctor in (("start", start), ("trained", trained)):
        for kind, temperature in (("greedy", 0.0), ("sampled", 1.0)):
            sampling = Sampling(
                temperature=temperature, max_new_tokens=recipe.max_new_tokens, seed=recipe.seed
            )
            found = route([case.view() for case in cases], doctor, sampling, recipe.style)
            right = [r.specialty == case.specialty for r, case in zip(found, cases, strict=True)]
            figures[f"{name}_{kind}"] = round(sum(right) / len(right), 4)
    return figures | cost_per_reply(trained)
