"""Labelling: the panel's opinions on the cases that the doctors learn from."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmedagent.atomic import new_folder, write_json
from mmedagent.cases.case import Case, Opinion, Specialty
from mmedagent.cases.findings.label_noise import write_label_noise
from mmedagent.cases.store import read_multiple_choice
from mmedagent.consultation.consult import majority_vote
from mmedagent.digests import digest_value
from mmedagent.errors import BadDataError, PanelError
from mmedagent.panel.client import EndpointPanel, open_panel
from mmedagent.panel.folds import read_folds
from mmedagent.panel.table import OPINIONS, write_opinions
from mmedagent.recipes.panel import LabelRecipe, PanelRecipe

POOLS_LABELLED = ("warm_start", "train")
OFF_ROLE_POOL = "train"
"""Reinforcement learning can weigh doubtful opinions; a warm start on them stands lower."""


def label(
    cases: Path,
    panel: Path | None,
    recipe: PanelRecipe,
    labels: LabelRecipe,
    store: Path,
    out: Path,
) -> dict[str, Any]:
    """Ask the panel about each case of the warm-start and train pools.

    In training the specialty is known from the data (METHOD, section 'The consultation'); in an
    evaluation triage chooses it, and errs: `labels` says how often it is to err here, and each
    opinion's `role` tells where. `panel` is the panel folder; of a cross-fitted one, the fold panel
    is asked that has not seen the case's subject. `store` is the opinion store: what it holds is
    not asked again, and what was answered before an error is kept there.
    Writes `opinions.parquet`, `label.json` (the figures that are returned, those that a rerun
    would not change) and the cases where the whole panel is against gold, to be looked at
    (`cases.findings.label_noise`), into the new folder `out`.

    Raises `BadDataError` when a pool is empty or a subject is in no fold, `PanelError` when an
    endpoint is down, too slow or answers nonsense, or when too many of a specialist's replies
    cannot be read.
    """
    pool = read_multiple_choice(cases, POOLS_LABELLED)
    for name in POOLS_LABELLED:
        if not any(case.pool == name for case in pool):
            raise BadDataError(f"{cases}: the pool {name} is empty, there is nothing to label")
    roles = roles_asked(pool, labels)
    said, asked = _ask(pool, roles, panel, recipe, store)
    no_opinion = {
        name: sum(each.stats.no_opinion[name] for each in asked)
        for name in asked[0].stats.no_opinion
    }
    _require_readable(no_opinion, len(pool), recipe)
    digests = [each.digest for each in asked]
    figures = {
        "schema": 1,
        "panel": digests[0] if len(digests) == 1 else digest_value(digests),
        "cases": len(pool),
        "off_role": sum(role != case.specialty for role, case in zip(roles, pool, strict=True)),
        "no_opinion": no_opinion,
        **_accuracy(pool, said),
    }
    with new_folder(out) as folder:
        opinions = {case.case_id: each for case, each in zip(pool, said, strict=True)}
        write_opinions(folder / OPINIONS, opinions)
        figures["against_gold"] = write_label_noise(folder, cases, pool, opinions)
        write_json(folder / "label.json", figures)
    cost = {
        "asked": sum(each.stats.asked for each in asked),
        "from_store": sum(each.stats.from_store for each in asked),
        "prompt_tokens": sum(each.stats.prompt_tokens for each in asked),
        "completion_tokens": sum(each.stats.completion_tokens for each in asked),
        "request_seconds": sum(each.stats.seconds for each in asked),
    }
    return figures | cost


def _ask(
    pool: Sequence[Case],
    roles: Sequence[Specialty],
    panel: Path | None,
    recipe: PanelRecipe,
    store: Path,
) -> tuple[list[tuple[Opinion, ...]], list[EndpointPanel]]:
    """Return each case's opinions, and the closed panels that were asked, in the folds' order.

    A cross-fitted panel's cases go to the fold panel that has not seen their subject.
    """
    local = any(specialist.endpoint is None for specialist in recipe.specialists)
    folds = read_folds(panel) if panel is not None and local else None
    numbers = [folds.of(case) for case in pool] if folds else [0] * len(pool)
    said: dict[int, tuple[Opinion, ...]] = {}
    asked = []
    for number, folder in enumerate(folds.panels if folds else [panel]):
        rows = [row for row, fold in enumerate(numbers) if fold == number]
        with open_panel(recipe, folder, store) as opened:
            views = [pool[row].view() for row in rows]
            opinions = opened.opinions(views, [roles[row] for row in rows])
        said |= dict(zip(rows, opinions, strict=True))
        asked.append(opened)
    return [said[row] for row in range(len(pool))], asked


def roles_asked(pool: Sequence[Case], labels: LabelRecipe) -> list[Specialty]:
    """Return the specialty that the panel is asked in about each case of `pool`.

    The gold one, or for about `labels.off_role_share` of the `train` cases one of the others that
    occur in `pool`, each as likely as the next. Both are a function of the seed and the case's id:
    a larger share keeps the cases of a smaller one, and other cases change nobody's choice.

    Raises `BadDataError` when another specialty is asked for and only one occurs.
    """
    there = sorted({case.specialty for case in pool})
    if labels.off_role_share > 0 and len(there) < 2:
        raise BadDataError(
            f"label.off_role_share is {labels.off_role_share}, but all {len(pool)} cases are the"
            f" {there[0]}'s: there is no other specialty to ask in; set it to 0"
        )
    roles: list[Specialty] = []
    for case in pool:
        draw = random.Random(f"{labels.seed}:{case.case_id}")  # of a text: the same everywhere
        off = draw.random() < labels.off_role_share and case.pool == OFF_ROLE_POOL
        others = [role for role in there if role != case.specialty]
        roles.append(draw.choice(others) if off else case.specialty)
    return roles


def _accuracy(pool: list[Case], said: list[tuple[Opinion, ...]]) -> dict[str, Any]:
    pairs = list(zip(pool, said, strict=True))
    names = [opinion.specialist for opinion in said[0]]
    single = {
        name: sum(each[n].letter == case.letter for case, each in pairs) / len(pairs)
        for n, name in enumerate(names)
    }
    right = [[opinion.letter == case.letter for opinion in each] for case, each in pairs]
    return {
        "accuracy": single,
        "majority_accuracy": sum(majority_vote(e) == c.letter for c, e in pairs) / len(pairs),
        "any_right": sum(any(row) for row in right) / len(pairs),
    }


def _require_readable(no_opinion: dict[str, int], cases: int, recipe: PanelRecipe) -> None:
    for name, count in no_opinion.items():
        if count > recipe.most_without_opinion * cases:
            raise PanelError(
                f"specialist {name}: {count} of {cases} replies name no option; it is asked in the"
                " wrong style, cut off too early (panel.sampling.max_new_tokens) or is no model"
                " for this task. panel.most_without_opinion sets how many are accepted"
            )
