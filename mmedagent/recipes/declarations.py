"""The declarations of data sets: one file `data/sets/NAME.yaml` each, which Git keeps."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mmedagent.errors import UsageError
from mmedagent.recipes.sets import DataSetRecipe

SETS = Path("data/sets")
"""The folder of declarations, relative to the repository."""
_HEADER = "# Declares a data set; written by `mmedagent data add`, kept by Git.\n"


def declaration_path(root: Path, name: str) -> Path:
    """Return where the declaration of the set `name` lies."""
    return root / SETS / f"{name}.yaml"


def read_declarations(root: Path) -> dict[str, DataSetRecipe]:
    """Return all declared data sets by name, in order of the names.

    Raises `UsageError` that names the file and field of what is no declaration.
    """
    files = sorted((root / SETS).glob("*.yaml"))
    declared = [read_declaration(path) for path in files if "." not in path.stem]
    return {recipe.name: recipe for recipe in declared}


def read_declaration(path: Path) -> DataSetRecipe:
    """Return the data set that the file `path` declares. Raises `UsageError` when it is none."""
    try:
        recipe = DataSetRecipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error)}") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"{path} is no declaration of a data set: {error}") from None
    if recipe.name != path.stem:
        raise UsageError(f"{path} declares {recipe.name!r}: a file is named after its data set")
    return recipe


def declaration_text(recipe: DataSetRecipe) -> str:
    """Return the declaration as it is written: every field spelt out, in the schema's order."""
    values: dict[str, Any] = recipe.model_dump(mode="json")
    return _HEADER + yaml.safe_dump(values, sort_keys=False, width=100)


def explain(error: ValidationError) -> str:
    """Return pydantic's findings on one line: each field's path and what is wrong with it."""
    return "; ".join(
        ".".join(str(part) for part in problem["loc"])
        + f": {problem['msg'].removeprefix('Value error, ')}"
        for problem in error.errors(include_url=False, include_input=False)
    )
