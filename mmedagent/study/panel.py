"""The panel's opinions for a whole study: asked once, in every role, and kept as tables.

Routing differs from seed to seed and row to row; what a specialist says in a role does not.
"""

import json
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


def ask_everything(context: Context, pools: Sequence[str], first: int = 0) -> None:
    """Ask the panel about every case of `pools` in every role, unless that was done.

    Workers that begin at different places (`first`) share the work instead of waiting.
    """
    for pool in pools:
        for number in range(len(SPECIALTIES)):
            _ask(context, pool, SPECIALTIES[(first + number) % len(SPECIALTIES)])


def cost_of_one(context: Context, pool: str) -> dict[str, float]:
    """Return tokens and seconds of one opinion, on average over `pool` and all seven roles."""
    facts = [
        json.loads((_ask(context, pool, role) / "usage.json").read_text()) for role in SPECIALTIES
    ]
    replies = sum(fact["replies"] for fact in facts)
    names = ("prompt_tokens", "completion_tokens", "seconds")
    return {name: sum(fact[name] for fact in facts) / replies for name in names}


def _table(context: Context, pool: str, role: Specialty) -> dict[str, Said]:
    return read_opinions(_ask(context, pool, role) / "opinions.parquet")


def _ask(context: Context, pool: str, role: Specialty) -> Path:
    folder = _folder(context, pool, role)
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if folder.exists():
            return folder
        cases = study_cases(context, pool)
        with open_panel(context.recipe.panel, context.panel, context.work / _STORE) as panel:
            before = panel.usage
            said = panel.opinions([case.view() for case in cases], [role] * len(cases))
            usage = panel.usage - before
        with new_folder(folder) as aside:
            write_opinions(
                aside / "opinions.parquet",
                {case.case_id: each for case, each in zip(cases, said, strict=True)},
            )
            write_json(aside / "usage.json", vars(usage))
    return folder


def _folder(context: Context, pool: str, role: Specialty) -> Path:
    return context.work / "panel" / f"{pool}-{role}"
