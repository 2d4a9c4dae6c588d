"""What must be true before a run: a checkout, a recipe that DVC's stages agree with, versions."""

from pathlib import Path

import pytest
import yaml

from mmedagent.cases.sets.lock import folder_md5
from mmedagent.cases.store import write_cases
from mmedagent.errors import BadDataError, UsageError
from mmedagent.recipes.declarations import declaration_path, declaration_text
from mmedagent.recipes.params import render
from mmedagent.recipes.resolve import resolve
from mmedagent.recipes.sets import DataSetRecipe, SourceRecipe
from pipelines.plan import Versions
from pipelines.prepare import (
    _stamp,
    check_checkout,
    check_working_tree,
    checked_versions,
    read_versions,
)
from tests.mmedagent.cases.examples import data_set


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text(render())
    stages = {
        "starter": {"cmd": "make", "deps": ["source.txt"], "outs": ["data/starter"]},
        "base": {"cmd": "make", "deps": ["data/starter"], "outs": [{"models/base": {}}]},
    }
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (tmp_path / "data/starter").mkdir(parents=True)
    (tmp_path / "data/starter/part.parquet").write_bytes(b"x" * (2 << 20))
    (tmp_path / "source.txt").write_text("one")
    return tmp_path


def lock(root: Path, **md5s: str) -> None:
    stages = {
        path: {"outs": [{"path": path, "md5": md5}]}
        for path, md5 in ((name.replace("_", "/"), md5) for name, md5 in md5s.items())
    }
    (root / "dvc.lock").write_text(yaml.safe_dump({"stages": stages}))


def test_a_recipe_that_agrees_with_the_stages_passes(checkout: Path) -> None:
    check_checkout(checkout, resolve("laptop", ["training.triage.steps=3", "gate.margin=0.1"]))


def test_a_field_that_only_dvc_could_apply_is_refused(checkout: Path) -> None:
    recipe = resolve("laptop", ["data.image_size=56"])
    with pytest.raises(UsageError, match=r"data\.image_size is 56 in the recipe and 84 in params"):
        check_checkout(checkout, recipe)


def test_params_of_another_recipe_fit_that_recipe(checkout: Path) -> None:
    with pytest.raises(UsageError, match="make params RECIPE=one-gpu"):
        check_checkout(checkout, resolve("one-gpu"))
    (checkout / "params.yaml").write_text(render("one-gpu"))
    check_checkout(checkout, resolve("one-gpu"))


def test_outside_a_checkout_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no dvc\.yaml"):
        check_checkout(tmp_path, resolve("laptop"))


def test_versions_come_from_the_lock(checkout: Path) -> None:
    lock(checkout, data_starter="d" * 32 + ".dir", models_base="b" * 32, models_panel="e" * 32)
    assert read_versions(checkout) == Versions("d" * 32, "b" * 32, "e" * 32)


def test_a_stage_that_was_never_built_is_named(checkout: Path) -> None:
    with pytest.raises(BadDataError, match=r"no dvc\.lock"):
        read_versions(checkout)
    lock(checkout, data_starter="d" * 32)
    with pytest.raises(BadDataError, match="models/base, models/panel"):
        read_versions(checkout)


@pytest.mark.parametrize("changed", ["source.txt", "data/starter/part.parquet", "params.yaml"])
def test_the_stamp_notices_what_dvc_would(checkout: Path, changed: str) -> None:
    before = _stamp(checkout)
    assert _stamp(checkout) == before
    path = checkout / changed
    path.write_bytes(path.read_bytes() + b"\n")
    assert _stamp(checkout) != before


def test_declared_sets_that_params_lacks_are_refused(checkout: Path) -> None:
    recipe = DataSetRecipe(
        name="rad", source=SourceRecipe(name="vqa-rad"), release="data/x", sha256="0" * 64
    )
    path = declaration_path(checkout, "rad")
    path.parent.mkdir(parents=True)
    path.write_text(declaration_text(recipe))
    with pytest.raises(UsageError, match="declarations in data/sets say: `make params`"):
        check_checkout(checkout, resolve("laptop"))
    (checkout / "params.yaml").write_text(render(root=checkout))
    check_checkout(checkout, resolve("laptop"))


def test_a_run_on_another_set_takes_its_version_and_names_it(checkout: Path) -> None:
    manifest = write_cases(checkout / "data/rad", "rad", data_set(1))
    rad = folder_md5(checkout / "data/rad")
    lock(checkout, data_starter="d" * 32, models_base="b" * 32, models_panel="e" * 32)
    with pytest.raises(UsageError, match="no version of the data set 'rad'; it has starter"):
        read_versions(checkout, "rad")
    lock(checkout, data_rad=f"{rad}.dir", models_base="b" * 32, models_panel="e" * 32)
    assert check_working_tree(checkout, "rad") == "rad"
    versions = checked_versions(checkout, f"rad@{rad}")
    assert versions == Versions(
        rad, "b" * 32, "e" * 32, name="rad", revision=rad, manifest=manifest["digest"]
    )


def test_a_working_tree_with_other_data_is_refused_before_anything_is_built(
    checkout: Path,
) -> None:
    assert check_working_tree(checkout, "starter") == "starter"  # never built: built first
    write_cases(checkout / "data/rad", "rad", data_set(1))
    lock(checkout, data_rad="c" * 32, data_starter="d" * 32)
    for name in ("rad", "starter"):
        with pytest.raises(BadDataError, match=rf"data/{name} is not the version that dvc\.lock"):
            check_working_tree(checkout, name)
    with pytest.raises(UsageError, match=r"dvc\.lock pins rad at cccccccc"):
        check_working_tree(checkout, "rad@" + "a" * 32)


def test_the_stamp_covers_the_set_that_is_pushed(checkout: Path) -> None:
    stages = yaml.safe_load((checkout / "dvc.yaml").read_text())
    stages["stages"]["rad"] = {"cmd": "make", "outs": ["data/rad"]}
    (checkout / "dvc.yaml").write_text(yaml.safe_dump(stages))
    names = ("starter", "base", "panel", "rad")
    before = _stamp(checkout, names)
    write_cases(checkout / "data/rad", "rad", data_set(1))
    assert _stamp(checkout, names) != before and _stamp(checkout) == _stamp(checkout)
