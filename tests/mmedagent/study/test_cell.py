"""Cells for real: tiny doctors, a tiny panel behind its server, a few steps of each training."""

import shutil
from dataclasses import replace

import pytest

from mmedagent.atomic import write_json
from mmedagent.cases.store import write_cases
from mmedagent.digests import digest_folder
from mmedagent.errors import BrokenEvidenceError
from mmedagent.panel.folder import MANIFEST, panel_manifest
from mmedagent.recipes.evaluation import EvaluationRecipe
from mmedagent.recipes.named import laptop
from mmedagent.recipes.panel import PanelRecipe
from mmedagent.study.cell import run_cell
from mmedagent.study.context import POOLS, Context
from mmedagent.study.folder import read_file, shared_path, write_file
from mmedagent.study.pools import describe_pool, sources_trained_on, study_cases
from mmedagent.study.rows import ROWS
from mmedagent.study.schema import Shared, misfits
from mmedagent.study.shared import prepare_seed

BY_NAME = {row.name: row for row in ROWS}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def context(tmp_path_factory, tiny_base, tiny_start, draw_cases):
    root = tmp_path_factory.mktemp("study")
    pools = {"warm_start": 12, "train": 24, "validation": 9, "test": 15}
    write_cases(root / "cases", "drawn", [c for p, n in pools.items() for c in draw_cases(n, p)])
    names = [specialist.name for specialist in PanelRecipe().specialists]
    for name in names:
        shutil.copytree(tiny_start, root / "panel" / name)
    digests = {name: digest_folder(root / "panel" / name) for name in names}
    write_json(root / "panel" / MANIFEST, panel_manifest(digests))
    recipe = laptop().model_copy(
        update={
            "panel": PanelRecipe(most_without_opinion=1.0),
            "evaluation": EvaluationRecipe(samples=1, max_new_tokens=8),
        }
    )
    attending = recipe.training.attending.model_copy(
        update={"prompts_per_step": 4, "generations": 4, "max_new_tokens": 6}
    )
    triage = recipe.training.triage.model_copy(
        update={"prompts_per_step": 4, "generations": 4, "max_new_tokens": 6}
    )
    training = recipe.training.model_copy(update={"attending": attending, "triage": triage})
    context = Context(
        recipe=recipe.model_copy(update={"training": training}),
        cases=root / "cases", base=tiny_base, panel=root / "panel", work=root / "work",
        out=root / "out", quick=True, digests={"recipe": "r", "data": "d"}, revision="none",
    )  # fmt: skip
    context.work.mkdir()
    write_file(shared_path(context.out, 0), prepare_seed(0, context))
    return context


@pytest.fixture(scope="module")
def pools(context):
    known = sources_trained_on(context)
    return {name: describe_pool(name, study_cases(context, name), known) for name in POOLS}


def test_the_shared_file_fits_and_a_resumed_seed_trains_nothing(context, pools):
    shared = read_file(shared_path(context.out, 0), Shared, pools)
    assert len(shared.pools["test"].opinions) == 3
    assert set(shared.triage) >= {"start_greedy", "trained_greedy", "trained_sampled", "seconds"}
    again = prepare_seed(0, context)
    assert again.pools == shared.pools and again.cpu_seconds == shared.cpu_seconds


def test_rows_share_a_training_and_differ_in_how_they_ask(context, pools):
    cells = {
        name: run_cell(BY_NAME[name], 0, context)
        for name in ("full", "easy_only", "random_specialty", "all_specialties", "full_vote")
    }
    for cell in cells.values():
        assert not misfits(cell, pools)
        assert cell.cpu_seconds.train > 0 or cell.row == "easy_only"
    made = [p for p in context.seed_work(0).iterdir() if p.is_dir() and "attending-" in p.name]
    assert len([p for p in made if p.name.startswith("attending-")]) == 1
    full = cells["full"]
    assert list(full.stages) == [s for s in ("easy", "medium", "hard") if s in full.stages]
    assert full.stages["hard"]["test"].greedy == full.pools["test"].greedy
    assert full.cost.specialist_calls == 3 and full.pools["test"].opinions is None
    assert cells["all_specialties"].cost.specialist_calls == 21
    assert cells["all_specialties"].cost.prompt_tokens > full.cost.prompt_tokens
    assert set(cells["random_specialty"].pools["test"].role) - {"Radiologist"}
    assert cells["full_vote"].cost.completion_tokens > full.cost.completion_tokens


def test_without_opinions_nobody_is_asked_and_triage_costs_nothing(context, pools):
    cell = run_cell(BY_NAME["supervised_without_opinions"], 0, context)
    assert cell.cost.specialist_calls == 0 and not cell.curve and not misfits(cell, pools)
    start = run_cell(BY_NAME["no_attending_rl"], 0, context)
    assert start.cpu_seconds.train == 0 and start.cost.specialist_calls == 3


def test_another_triage_routes_and_its_opinions_are_kept(context, pools):
    cell = run_cell(BY_NAME["triage_classifier"], 0, context)
    part = cell.pools["test"]
    assert len(part.role) == len(part.opinions["alder"]) == pools["test"].size


def test_a_cell_is_the_same_in_another_work_folder(context, tmp_path):
    fresh = replace(context, work=tmp_path / "work", out=tmp_path / "out")
    fresh.work.mkdir()
    write_file(shared_path(fresh.out, 0), prepare_seed(0, fresh))
    first, second = (run_cell(BY_NAME["paper"], 0, each) for each in (context, fresh))
    assert first.pools == second.pools and first.curve == second.curve


def test_a_seed_that_was_not_prepared_is_named(context):
    with pytest.raises(BrokenEvidenceError, match="seed-7"):
        run_cell(BY_NAME["full"], 7, context)
