"""The panel's opinions for a whole study: asked once, in every role, and kept as tables.

Routing differs from seed to seed and row to row; what a specialist says in a role does not.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from mmedagent.atomic import new_folder, write_json
from mmedagent.cases.case import SPECIALTIES, Opinion, Specialty
from mmedagent.panel.client import open_panel
from mmedagent.panel.label import label
from mmedagent.panel.table import read_opinions, write_opinions
from mmedagent.study.context import Context
from mmedagent.study.pools import study_cases

Said = tuple[Opinion, ...]
_STORE = "opinions"


def labels(context: Context) -> Path:
    """Return the folder with the opinions that training hears, made if it is not there."""
    folder = context.work / "labels"
    with FileLock(context.work / "labels.lock"):
        if not folder.exists():
            recipe = context.recipe
            store = context.work / _STORE
            label(context.cases, context.panel, recipe.panel, recipe.label, store, folder)
    return folder


def heard(context: Context, pool: str, roles: Sequence[Specialty]) -> list[Said]:
    """Return what the panel says of each case of `pool` in the role given for it."""
    tables = {role: _table(context, pool, role) for role in set(roles)}
    cases = study_cases(context, pool)
    return [tables[role][case.case_id] for case, role in zip(cases, roles, strict=True)]


def ask_everything(context: Context, pools: Sequence[str]) -> None:
    """Ask the panel about every case of `pools` in every role, unless that was done."""
    _ask(context, [(pool, role) for pool in pools for role in SPECIALTIES])


def cost_of_one(context: Context, pool: str) -> dict[str, float]:
    """Return tokens and seconds of one opinion, on average over `pool` and all seven roles.

    Seconds are those of the whole batch divided by its opinions, as a doctor's are: a reply's own
    latency is mostly its wait in the queue of many.
    """
    _ask(context, [(pool, role) for role in SPECIALTIES])
    folders = [_folder(context, pool, role) for role in SPECIALTIES]
    facts = [json.loads((folder / "usage.json").read_text()) for folder in folders]
    total = {name: sum(fact[name] for fact in facts) for name in facts[0]}
    tokens = {
        name: total[name] / total["replies"] for name in ("prompt_tokens", "completion_tokens")
    }
    return {**tokens, "seconds": total["wall_seconds"] / max(1, total["asked"])}


def _table(context: Context, pool: str, role: Specialty) -> dict[str, Said]:
    _ask(context, [(pool, role)])
    return read_opinions(_folder(context, pool, role) / "opinions.parquet")


def _ask(context: Context, wanted: Sequence[tuple[str, Specialty]]) -> None:
    """Ask what was not asked yet, and keep it: the panel is started once, by one worker."""
    if all(_folder(context, pool, role).exists() for pool, role in wanted):
        return
    with (
        FileLock(context.work / "panel.lock"),
        open_panel(context.recipe.panel, context.panel, context.work / _STORE) as panel,
    ):
        for pool, role in wanted:
            folder = _folder(context, pool, role)
            if folder.exists():
                continue
            cases = study_cases(context, pool)
            before, asked, began = panel.usage, panel.stats.asked, time.perf_counter()
            said = panel.opinions([case.view() for case in cases], [role] * len(cases))
            usage = panel.usage - before
            facts = {
                "replies": usage.replies,
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "asked": panel.stats.asked - asked,
                "wall_seconds": time.perf_counter() - began,
            }
            with new_folder(folder) as aside:
                opinions = {case.case_id: each for case, each in zip(cases, said, strict=True)}
                write_opinions(aside / "opinions.parquet", opinions)
                write_json(aside / "usage.json", facts)


def _folder(context: Context, pool: str, role: Specialty) -> Path:
    return context.work / "panel" / f"{pool}-{role}"
