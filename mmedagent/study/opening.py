"""Opening a study: its context, what all its cells share, and the refusal to mix two studies."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmedagent.cases.store import read_manifest
from mmedagent.digests import digest_folder, digest_value
from mmedagent.errors import UsageError
from mmedagent.panel.folder import read_panel_folder
from mmedagent.recipes.schema import Recipe
from mmedagent.study.context import POOLS, Context
from mmedagent.study.folder import pool_path, read_file, study_path, write_file
from mmedagent.study.pools import describe_pool, sources_trained_on, study_cases
from mmedagent.study.schema import Pool, Study
from mmedagent.workdir import work_folder

CASES, BASE, PANEL = Path("data/starter"), Path("models/base"), Path("models/panel")
"""Where the checkout's stages put what a study starts from."""
_OUTSIDE = {"name", "data", "validation", "panel_training", "gate", "serving"}
"""Sections that decide no cell, or do so through the data's, the base's and the panel's digest."""
_STATISTICS = {"resamples", "confidence", "bar_images", "cluster", "pool", "selection_pool"}
"""Fields of the evaluation's section that concern what is computed from predictions afterwards."""
_ABSENT = object()
"""Stands for a field that a recipe did not have."""
_CODE = ("mmedagent", "pyproject.toml", "requirements.lock")


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Return what of `recipe` decides a cell, spelt out."""
    sections: dict[str, Any] = recipe.model_dump(mode="json", exclude=_OUTSIDE)
    for name in _STATISTICS:
        sections["evaluation"].pop(name, None)
    return sections


def open_context(root: Path, recipe: Recipe, out: Path, quick: bool) -> Context:
    """Return the context of a study in the checkout `root` that writes to `out`.

    Raises `UsageError` when the data, the base or the panel is not there, saying what makes it, or
    when the recipe starts from another model than the checkout's stages make.
    """
    if recipe.model.path != str(BASE):
        raise UsageError(
            f"the study starts from {BASE}, which `make panel` makes; the recipe {recipe.name!r}"
            f" starts from {recipe.model.path}. Use the recipe laptop, with --set"
        )
    cases, base, panel = root / CASES, root / BASE, root / PANEL
    for place, marker, target in (
        (cases, "manifest.json", "data"),
        (base, "config.json", "panel"),
        (panel, "panel.json", "panel"),
    ):
        if not (place / marker).is_file():
            raise UsageError(f"{place}: not there; `make {target}` makes it, in a checkout")
    settings = {**settings_of(recipe), "quick": quick}
    digests = {
        "recipe": digest_value(settings),
        "data": str(read_manifest(cases)["digest"]),
        "panel": read_panel_folder(panel).digest,
        "base": digest_folder(base),
    }
    return Context(
        recipe=recipe,
        cases=cases,
        base=base,
        panel=panel,
        work=work_folder() / "study" / digest_value(digests)[:16],
        out=out.absolute(),
        quick=quick,
        digests=digests,
        revision=revision(root),
    )


def open_study(context: Context, overrides: Sequence[str] = ()) -> tuple[Study, dict[str, Pool]]:
    """Write what all cells have in common, or see that what is there is the same.

    `overrides` are those that the recipe was asked for with, for the page's command.

    Raises `UsageError` when the folder holds a study of another recipe or other data, naming both
    digests, what differs and the mend; `BrokenEvidenceError` when its files cannot be read.
    """
    study = Study(
        recipe=context.recipe.name,
        settings=settings_of(context.recipe),
        recipe_digest=context.digests["recipe"],
        data_digest=context.digests["data"],
        panel_digest=context.digests["panel"],
        base_digest=context.digests["base"],
        pools=POOLS,
        quick=context.quick,
        overrides=tuple(overrides),
    )
    path = study_path(context.out)
    if path.exists():
        _refuse_another(path, read_file(path, Study), study)
    pools = {}
    for name in POOLS:
        place = pool_path(context.out, name)
        if not place.exists():
            write_file(place, _described(name, context))
        pools[name] = read_file(place, Pool)
    if not path.exists():
        write_file(path, study)
    return study, pools


def _described(name: str, context: Context) -> Pool:
    return describe_pool(name, study_cases(context, name), sources_trained_on(context))


def revision(root: Path) -> str:
    """Return the git revision of `root`, with `+changes` when its code differs from it."""
    try:
        head = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--", *_CODE)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head[:12] + ("+changes" if changed else "")


def _refuse_another(path: Path, there: Study, asked: Study) -> None:
    for name in ("recipe", "data", "panel", "base"):
        old, new = (getattr(study, f"{name}_digest") for study in (there, asked))
        if old == new:
            continue
        changes = ""
        if name == "recipe":
            found = list(_changes(there.model_dump(mode="json"), asked.model_dump(mode="json")))
            changes = "".join(f"; {line}" for line in found[:3])
        raise UsageError(
            f"{path}: its cells were made with {name} {old[:12]}, asked is {name} {new[:12]}"
            f"{changes}. Cells of two kinds do not make one study: give another --out,"
            f" or go back to the old {name}"
        )


def _changes(old: Any, new: Any, path: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old | new:
            if not (not path and key.endswith("_digest")):
                name = key if path in ("", "settings") else f"{path}.{key}"
                yield from _changes(old.get(key, _ABSENT), new.get(key, _ABSENT), name)
    elif old != new:
        yield f"{path} was {_shown(old)}, is {_shown(new)}"


def _shown(value: Any) -> str:
    return "not known" if value is _ABSENT else json.dumps(value)


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
