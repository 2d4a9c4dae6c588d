"""Labelling: the panel's opinions on the cases that the doctors learn from."""

from pathlib import Path
from typing import Any

from mmedagent.atomic import new_folder, write_json
from mmedagent.cases.case import Case, Opinion
from mmedagent.cases.store import read_cases
from mmedagent.consultation.consult import majority_vote
from mmedagent.errors import BadDataError, PanelError
from mmedagent.panel.client import open_panel
from mmedagent.panel.table import OPINIONS, write_opinions
from mmedagent.recipes.panel import PanelRecipe

POOLS_LABELLED = ("warm_start", "train")


def label(
    cases: Path, panel: Path | None, recipe: PanelRecipe, store: Path, out: Path
) -> dict[str, Any]:
    """Ask the panel about each case of the warm-start and train pools, in its gold specialty.

    In training the specialty is known from the data (METHOD, section 'The consultation'); in an
    evaluation triage chooses it. `panel` is the panel folder, `store` the opinion store: what it
    holds is not asked again, and what was answered before an error is kept there.
    Writes `opinions.parquet` and `label.json` (the figures that are returned, those that a rerun
    would not change) into the new folder `out`.

    Raises `BadDataError` when a pool is empty, `PanelError` when an endpoint is down, too slow or
    answers nonsense, or when too many of a specialist's replies cannot be read.
    """
    pool = read_cases(cases, POOLS_LABELLED)
    for name in POOLS_LABELLED:
        if not any(case.pool == name for case in pool):
            raise BadDataError(f"{cases}: the pool {name} is empty, there is nothing to label")
    with open_panel(recipe, panel, store) as asked:
        said = asked.opinions([case.view() for case in pool], [case.specialty for case in pool])
        stats, digest = asked.stats, asked.digest
    _require_readable(stats.no_opinion, len(pool), recipe)
    figures = {
        "schema": 1,
        "panel": digest,
        "cases": len(pool),
        "no_opinion": stats.no_opinion,
        **_accuracy(pool, said),
    }
    with new_folder(out) as folder:
        opinions = {case.case_id: each for case, each in zip(pool, said, strict=True)}
        write_opinions(folder / OPINIONS, opinions)
        write_json(folder / "label.json", figures)
    cost = {
        "asked": stats.asked,
        "from_store": stats.from_store,
        "prompt_tokens": stats.prompt_tokens,
        "completion_tokens": stats.completion_tokens,
        "request_seconds": stats.seconds,
    }
    return figures | cost


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
