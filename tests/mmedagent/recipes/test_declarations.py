"""A declaration is read back as it was written, and `params.yaml` holds all of them."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mmedagent.errors import UsageError
from mmedagent.recipes.declarations import (
    declaration_path,
    declaration_text,
    read_declaration,
    read_declarations,
)
from mmedagent.recipes.params import render, with_data_sets
from mmedagent.recipes.sets import DataSetRecipe, SourceRecipe

RECIPE = DataSetRecipe(
    name="slake",
    source=SourceRecipe(name="slake", languages=("en", "zh")),
    release="data/releases/abc/Slake1.0.zip",
    sha256="a" * 64,
)


def declare(root: Path, recipe: DataSetRecipe, **changes: object) -> Path:
    path = declaration_path(root, recipe.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    values = yaml.safe_load(declaration_text(recipe)) | changes
    path.write_text(yaml.safe_dump(values))
    return path


def test_a_declaration_is_read_back(tmp_path: Path) -> None:
    declare(tmp_path, RECIPE)
    (tmp_path / "data/sets/slake.members.yaml").write_text("other: thing\n")
    assert read_declarations(tmp_path) == {"slake": RECIPE}
    assert read_declarations(tmp_path / "nowhere") == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": "short"}, "sha256"),
        ({"images": {"max_sides": 9}}, r"images\.max_sides"),
        ({"name": "other"}, "declares 'other'"),
    ],
)
def test_what_is_no_declaration_names_file_and_field(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    path = declare(tmp_path, RECIPE, **changes)
    with pytest.raises(UsageError, match=message) as caught:
        read_declaration(path)
    assert str(path) in str(caught.value)
    path.write_text("{")
    with pytest.raises(UsageError, match="no declaration"):
        read_declarations(tmp_path)


def test_params_hold_the_declared_sets_beside_the_recipe(tmp_path: Path) -> None:
    plain = render(root=tmp_path)
    assert "data_sets" not in plain
    declare(tmp_path, RECIPE)
    values = yaml.safe_load(render(root=tmp_path))
    assert DataSetRecipe.model_validate(values.pop("data_sets")["slake"]) == RECIPE
    assert values == yaml.safe_load(plain)


def test_renewing_the_sets_keeps_another_recipes_sections(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(render("one-gpu", tmp_path))
    declare(tmp_path, RECIPE)
    (tmp_path / "params.yaml").write_text(with_data_sets(tmp_path))
    assert (tmp_path / "params.yaml").read_text() == render("one-gpu", tmp_path)
    declaration_path(tmp_path, "slake").unlink()
    assert with_data_sets(tmp_path) == render("one-gpu", tmp_path)


def test_check_notices_a_set_that_params_lacks(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(render(root=tmp_path))
    command = [sys.executable, "-m", "mmedagent.recipes.params", "--check"]
    assert subprocess.run(command, cwd=tmp_path).returncode == 0
    declare(tmp_path, RECIPE)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "make params" in done.stdout
