"""Generates `params.yaml`, DVC's view of a recipe, and checks that it is up to date.

`python -m mmedagent.recipes.params` writes the laptop's, which the repository keeps; `--recipe`
names another one, whose data and base are then to be built; `--check` only compares. The section
`data_sets` holds the declared data sets, whatever the recipe.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from mmedagent import atomic
from mmedagent.errors import ExitCode, MMedAgentError
from mmedagent.recipes.declarations import read_declarations
from mmedagent.recipes.named import RECIPES

DVC_SECTIONS = ("data", "model", "panel_training")
"""The sections that DVC stages depend on: what is made before a run, not in it."""
PARAMS = Path("params.yaml")


DATA_SETS = "data_sets"
"""The section of the declared data sets; it is there when one is declared."""
_HEADER = "# Generated from mmedagent/recipes by `make params`; CI checks that it is.\n"


def render(recipe: str = "laptop", root: Path = Path()) -> str:
    """Return `params.yaml` as the recipe of this name and the data sets declared in `root` have it.

    Raises `UsageError` when a file in `data/sets` is no declaration.
    """
    values = RECIPES[recipe]().model_dump(mode="json")
    return _text({name: values[name] for name in DVC_SECTIONS} | data_sets(root))


def data_sets(root: Path) -> dict[str, Any]:
    """Return the section `data_sets` of the sets declared in `root`; empty when there are none."""
    declared = read_declarations(root)
    sets = {name: recipe.model_dump(mode="json") for name, recipe in declared.items()}
    return {DATA_SETS: sets} if sets else {}


def with_data_sets(root: Path) -> str:
    """Return the `params.yaml` of `root` with its section `data_sets` renewed, all else kept."""
    values = yaml.safe_load((root / PARAMS).read_text(encoding="utf-8")) or {}
    kept = {name: section for name, section in values.items() if name != DATA_SETS}
    return _text(kept | data_sets(root))


def _text(sections: dict[str, Any]) -> str:
    return _HEADER + yaml.safe_dump(sections, sort_keys=True)


def main() -> int:
    """Write the file, or with `--check` say whether it is what recipe and declarations say."""
    parser = argparse.ArgumentParser(description="Write params.yaml, DVC's view of a recipe.")
    parser.add_argument("--recipe", choices=RECIPES, default="laptop")
    parser.add_argument("--check", action="store_true", help="only say whether it is up to date")
    arguments = parser.parse_args()
    try:
        wanted = render(arguments.recipe)
    except MMedAgentError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    if not arguments.check:
        atomic.write_text(PARAMS, wanted)
    elif not PARAMS.exists() or PARAMS.read_text() != wanted:
        print(
            f"{PARAMS} is not what the {arguments.recipe} recipe and the declarations in data/sets"
            " say: run `make params` and commit it."
        )
        return int(ExitCode.CRASH)
    return int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
