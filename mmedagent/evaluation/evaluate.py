"""The step `evaluate`: consultations of every system on held-out cases, and the figures they give.

Each system's rows are kept in the work folder under a digest of what decides them, so that a
killed evaluation goes on with the next system; the panel's answers are in the opinion store.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmedagent.atomic import new_folder, write_json
from mmedagent.cases.case import Case, Opinion
from mmedagent.consultation.doctor import Panel
from mmedagent.consultation.prompts import prompts_digest
from mmedagent.digests import digest_file, digest_folder, digest_value
from mmedagent.errors import BadDataError, UsageError
from mmedagent.evaluation import baselines
from mmedagent.evaluation.bench import Bench, as_challenger
from mmedagent.evaluation.consultations import Held, consult_all, greedy_rows, sampled_rows
from mmedagent.evaluation.metrics import compute_metrics
from mmedagent.evaluation.predictions import (
    SCHEMA,
    Row,
    expected_digest,
    write_predictions,
)
from mmedagent.evaluation.systems import Model, Pair, System, model_in, system_in
from mmedagent.evaluation.variants import require_models, variant_key, variant_rows
from mmedagent.panel.curriculum import agreement_of
from mmedagent.panel.table import tier_of
from mmedagent.recipes.evaluation import EvaluationRecipe
from mmedagent.recipes.panel import PanelRecipe


def evaluate(
    cases: Path,
    panel: Path,
    store: Path,
    systems: Mapping[str, Pair],
    recipe: EvaluationRecipe,
    panel_recipe: PanelRecipe,
    out: Path,
    work: Path,
    models: Mapping[str, Path] = MappingProxyType({}),
) -> dict[str, Any]:
    """Measure `systems` on `recipe.pool` and write `predictions.parquet` and `metrics.json`.

    Args:
        cases: data version folder.
        panel: panel folder, asked through the recipe's endpoints or served on loopback.
        store: opinion store: what was asked before is not asked again.
        systems: `challenger` and `start`, and `champion` unless the start is champion v0.
        recipe, panel_recipe: sections of the run's recipe.
        out: output folder, published when whole.
        work: private folder; a system that is there for the same inputs is not run again.
        models: model folders of the recipe's baselines that are models of their own, by name.

    Returns `{"predictions_digest", "cases", "challenger", "panel_majority", "triage"}`.
    Raises `UsageError` without challenger, start or a model that a baseline of the recipe is,
    `BadDataError` when a pool is empty.
    """
    from mmedagent.cases.store import read_manifest, read_multiple_choice
    from mmedagent.panel.client import open_panel

    pools = {recipe.pool, recipe.selection_pool}
    held_out = read_multiple_choice(cases, sorted(pools))
    runnable = {name: system_in(pair, recipe.batch_size) for name, pair in systems.items()}
    doctors = {name: model_in(folder, recipe.batch_size) for name, folder in models.items()}
    inputs = {"data": read_manifest(cases)["digest"], "panel": digest_folder(panel)}
    with open_panel(panel_recipe, panel, store) as asked:
        rows = measure(held_out, runnable, asked, recipe, work, inputs, doctors)
    return publish(rows, recipe, out)


def measure(
    cases: list[Case],
    systems: Mapping[str, System],
    panel: Panel,
    recipe: EvaluationRecipe,
    work: Path,
    inputs: Mapping[str, str],
    models: Mapping[str, Model] = MappingProxyType({}),
) -> list[Row]:
    """Return the predictions of all systems and baselines, each case's tier filled in.

    `inputs` are digests of whatever else decides the rows (data, panel); `models` are the doctors
    of baselines that are models of their own.
    """
    require_models(recipe, models)
    if missing := sorted({"challenger", "start"} - set(systems)):
        raise UsageError(f"nothing to evaluate: no system named {' or '.join(missing)}")
    measured = [case for case in cases if case.pool == recipe.pool]
    chosen_on = [case for case in cases if case.pool == recipe.selection_pool]
    for pool, members in ((recipe.pool, measured), (recipe.selection_pool, chosen_on)):
        if not members:
            raise BadDataError(f"the pool {pool!r} is empty: nothing can be evaluated on it")
    pieces = _Pieces(work, recipe, inputs)
    rows: list[Row] = []
    for name in ("start", "champion", "challenger"):
        # No champion yet: the start pair is champion v0. Equal pairs share one file of rows.
        system = systems.get(name, systems["start"])
        found = pieces.get(system.digest, partial(_of_pair, name, system, measured, panel, recipe))
        rows += [{**row, "system": name} for row in found]
    own = [row for row in rows if row["system"] == "challenger"]
    bench = Bench(measured, panel, recipe, systems, models, own)
    heard = as_challenger(bench)
    rows += baselines.majority_rows(measured, heard.opinions, heard.costs)
    rows += baselines.panel_rows(measured, heard.opinions, baselines.SPECIALIST, heard.costs)
    rows += _of_controls(bench, pieces)
    for baseline in recipe.baselines:
        make = partial(variant_rows, baseline, bench)
        rows += pieces.get(variant_key(baseline, bench), make)
    selection = pieces.get("selection", lambda: _of_selection(chosen_on, panel, recipe))
    return _with_tiers(rows + selection, _tiers(measured, heard.opinions))


def publish(rows: list[Row], recipe: EvaluationRecipe, out: Path) -> dict[str, Any]:
    """Write predictions, then the metrics computed from that file alone."""
    measured = [row for row in rows if row["system"] == "challenger"]
    pairs = {(row["case_id"], row["gold_letter"]) for row in measured}
    facts = {
        "schema": 1,
        "pool": recipe.pool,
        "selection_pool": recipe.selection_pool,
        "cases": len(pairs),
        "cases_digest": expected_digest(pairs),
        "recipe_digest": digest_value(recipe.model_dump(mode="json")),
    }
    with new_folder(out) as folder:
        write_predictions(folder / "predictions.parquet", rows, facts)
        metrics = compute_metrics(folder / "predictions.parquet", recipe)
        write_json(folder / "metrics.json", metrics)
    shown = metrics["systems"]
    return {
        "predictions_digest": digest_file(out / "predictions.parquet"),
        "cases": len(pairs),
        "challenger": shown["challenger"]["accuracy"]["value"],
        "panel_majority": shown[baselines.MAJORITY]["accuracy"]["value"],
        "triage": shown["challenger"]["triage"]["accuracy"]["value"],
    }


class _Pieces:
    """Rows of one system each, in Parquet files named by what decides them."""

    def __init__(self, work: Path, recipe: EvaluationRecipe, inputs: Mapping[str, str]) -> None:
        self._work = work
        # Fields that only concern statistics, or that a piece's name already says, are left out.
        deciding = recipe.model_dump(
            mode="json",
            exclude={
                "cluster", "resamples", "confidence", "bar_images",
                "text_only", "options_permuted", "baselines", "votes", "all_roles",
            },
        )  # fmt: skip
        self._key = [deciding, dict(inputs), prompts_digest(recipe.style)]

    def get(self, name: str, make: Callable[[], list[Row]]) -> list[Row]:
        folder = self._work / f"rows-{digest_value([name, self._key])[:24]}"
        if not folder.exists():
            rows = make()
            with new_folder(folder) as aside:
                pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), aside / "rows.parquet")
        found: list[Row] = pq.read_table(folder / "rows.parquet").to_pylist()
        return found


def _of_pair(
    name: str, system: System, cases: list[Case], panel: Panel, recipe: EvaluationRecipe
) -> list[Row]:
    doctors = system.load()
    held = consult_all([case.view() for case in cases], doctors, panel, recipe, name)
    return greedy_rows(name, cases, held) + sampled_rows(name, cases, held, doctors, recipe)


def _of_controls(bench: Bench, pieces: _Pieces) -> list[Row]:
    """Return the challenger's rows without the image, and with the options in another order."""
    cases, recipe, system = bench.cases, bench.recipe, bench.challenger

    def grey() -> list[Row]:
        asked = [baselines.text_only(case) for case in cases]
        held = consult_all(asked, system.load(), bench.panel, recipe, "text only")
        return greedy_rows("text_only", cases, held)

    def permuted() -> list[Row]:
        orders = [baselines.permutation(case, recipe.seed) for case in cases]
        asked = [baselines.permuted(c, order) for c, order in zip(cases, orders, strict=True)]
        held = consult_all(asked, system.load(), bench.panel, recipe, "options permuted")
        back = [baselines.restored(said, o) for said, o in zip(held.said, orders, strict=True)]
        return greedy_rows("options_permuted", cases, Held(back, held.costs))

    rows: list[Row] = []
    if recipe.text_only:
        rows += pieces.get(f"text_only {system.digest}", grey)
    if recipe.options_permuted:
        rows += pieces.get(f"options_permuted {system.digest}", permuted)
    return rows


def _of_selection(cases: list[Case], panel: Panel, recipe: EvaluationRecipe) -> list[Row]:
    """Return the panel's answers on the selection pool, under right and under wrong roles."""
    questions = [case.view() for case in cases]
    right = panel.opinions(questions, [case.specialty for case in cases])
    tiers = _tiers(cases, right)
    rows = baselines.panel_rows(cases, right, baselines.RIGHT_ROLE)
    if recipe.role_effect:
        wrong = panel.opinions(questions, baselines.wrong_roles(cases))
        rows += baselines.panel_rows(cases, wrong, baselines.WRONG_ROLE)
    return _with_tiers(rows, tiers)


def _tiers(cases: Sequence[Case], opinions: Sequence[tuple[Opinion, ...]]) -> dict[str, str]:
    """Return each case's tier: whether all, some or none of its opinions are right.

    From gold, so only here, after prediction; no model sees it. One tier a case, by what the
    challenger's panel said, so that systems are compared on the same cases.
    """
    return {
        case.case_id: tier_of(agreement_of(case, said))
        for case, said in zip(cases, opinions, strict=True)
    }


def _with_tiers(rows: list[Row], tiers: Mapping[str, str]) -> list[Row]:
    return [{**row, "tier": tiers.get(row["case_id"], row["tier"])} for row in rows]
