"""What must be true before a run: a checkout, a recipe that DVC's stages agree with, versions."""

from pathlib import Path

import pytest
import yaml

from mmedagent.errors import BadDataError, UsageError
from mmedagent.recipes.params import render
from mmedagent.recipes.resolve import resolve
from pipelines.plan import Versions
from pipelines.prepare import _stamp, check_checkout, read_versions


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
