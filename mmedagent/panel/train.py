"""Training the laptop's frozen panel: the DVC stage `panel`.

Three tiny models of the doctors' own class, supervised, on the `panel` pool alone: subjects that
neither doctor is trained or measured on, so that the labels the panel gives are out of sample.
Without such a pool the recipe asks for cross-fitting (`mmedagent.panel.folds`).
What is simplified: a real panel is three large pretrained models behind endpoints.
"""

import argparse
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from mmedagent.atomic import new_folder, write_json
from mmedagent.cases.case import SPECIALTIES, Case
from mmedagent.cases.store import read_multiple_choice
from mmedagent.errors import BadDataError, MMedAgentError
from mmedagent.panel.folder import MANIFEST, panel_manifest
from mmedagent.panel.folds import POOLS_FOLDED, split_subjects, subject_key
from mmedagent.recipes.panel import PanelTrainingRecipe, SpecialistTrainingRecipe


def train_panel(cases: Path, recipe: PanelTrainingRecipe, out: Path) -> dict[str, Any]:
    """Train the specialists that `recipe` asks for on `cases` and write the panel folder `out`.

    They learn from the `panel` pool alone; with `cross_fit_folds`, from `warm_start` and `train`
    too, and `out` holds `fold-<n>` besides: a panel folder whose specialists saw none of that
    fold's subjects. The same cases and recipe give the same weights on the same machine.
    Specialists are trained in `recipe.processes` processes of one thread each.

    Raises `BadDataError` when there is nobody to train on, when a fold panel would lack the types
    that a specialist needs, or when there are fewer subjects than folds.
    """
    started = time.perf_counter()
    folds = recipe.cross_fit_folds
    pool = read_multiple_choice(cases, ["panel", *(POOLS_FOLDED if folds else ())])
    if not pool:
        raise BadDataError(f"{cases}: the panel pool is empty, nobody can be trained")
    fold_of = split_subjects(pool, folds) if folds else {}
    # Threads cost more than they give at this size; the variable must be set before torch loads.
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with new_folder(out) as folder:
        places = {folder: pool}
        for n in range(folds or 0):
            seen = [case for case in pool if fold_of.get(subject_key(case.subject)) != n]
            places[folder / f"fold-{n}"] = seen
        results = _train_all(places, recipe)
        panels = [
            {
                "path": place.name,
                "digest": _write_manifest(place, results[place]),
                "seen": sorted({subject_key(case.subject) for case in seen}),
            }
            for place, seen in places.items()
            if place != folder
        ]
        kept = {"panels": panels, "subjects": fold_of} if folds else None
        digest = _write_manifest(folder, results[folder], kept)
    return {
        "digest": digest,
        "cases": len(pool),
        "specialists": results[folder],
        "fold_panels": [one for place in places if place != folder for one in results[place]],
        "seconds": time.perf_counter() - started,
    }


def _train_all(
    places: dict[Path, list[Case]], recipe: PanelTrainingRecipe
) -> dict[Path, list[dict[str, Any]]]:
    """Train the recipe's specialists for each folder, on its cases, side by side."""
    jobs = [
        (seen, specialist, recipe, place)
        for place, seen in places.items()
        for specialist in recipe.specialists
    ]
    spawn = multiprocessing.get_context("spawn")  # torch does not survive a fork
    with ProcessPoolExecutor(min(recipe.processes, len(jobs)), mp_context=spawn) as executor:
        results = iter(list(executor.map(_train_one, *zip(*jobs, strict=True))))
    return {place: [next(results) for _ in recipe.specialists] for place in places}


def _write_manifest(
    folder: Path, results: list[dict[str, Any]], folds: dict[str, Any] | None = None
) -> str:
    manifest = panel_manifest({result["name"]: result["digest"] for result in results}, folds)
    write_json(folder / MANIFEST, manifest)
    return str(manifest["digest"])


def _train_one(
    pool: list[Case],
    specialist: SpecialistTrainingRecipe,
    recipe: PanelTrainingRecipe,
    folder: Path,
) -> dict[str, Any]:
    """Train one specialist and save it under its name; runs in a process of its own."""
    import torch

    from mmedagent.models.corpus import corpus
    from mmedagent.models.save import save_model
    from mmedagent.models.tiny import build_tiny
    from mmedagent.panel.examples import lessons
    from mmedagent.recipes.training import SupervisedRecipe
    from mmedagent.training.supervised import fit

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    taught = lessons(pool, specialist, recipe)
    words = [*corpus(pool, "compact"), *(f"{role}:" for role in SPECIALTIES)]
    model, processor = build_tiny(recipe.model, words, specialist.seed)
    done = fit(
        model,
        processor,
        [lesson.example for lesson in taught],
        SupervisedRecipe(
            steps=recipe.steps,
            batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
        ),
        seed=specialist.seed,
        title=f"specialist {specialist.name}",
        weights=[lesson.weight for lesson in taught],
    )
    last = done.losses[-20:]
    digest = save_model(folder / specialist.name, model, processor)
    return {
        "name": specialist.name,
        "digest": digest,
        "loss": sum(last) / len(last),
        "seconds": done.seconds,
    }


def main() -> int:
    """Train the panel that `params.yaml` describes: what `dvc repro panel` calls."""
    parser = argparse.ArgumentParser(description="Train the laptop's panel of specialists.")
    parser.add_argument("--cases", type=Path, default=Path("data/starter"))
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--out", type=Path, default=Path("models/panel"))
    arguments = parser.parse_args()
    values = yaml.safe_load(arguments.params.read_text())["panel_training"]
    try:
        recipe = PanelTrainingRecipe.model_validate(values)
        result = train_panel(arguments.cases, recipe, arguments.out)
    except MMedAgentError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    for one in [*result["specialists"], *result["fold_panels"]]:
        print(f"{one['name']}: loss {one['loss']:.3f}, {one['seconds']:.0f} s")
    print(f"panel {result['digest'][:12]} in {result['seconds']:.0f} s: {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
