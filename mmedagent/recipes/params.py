"""Generates `params.yaml`, DVC's view of a recipe, and checks that it is up to date.

`python -m mmedagent.recipes.params` writes the laptop's, which the repository keeps; `--recipe`
names another one, whose data and base are then to be built; `--check` only compares.
"""

import argparse
import sys
from pathlib import Path

import yaml

from mmedagent import atomic
from mmedagent.errors import ExitCode
from mmedagent.recipes.named import RECIPES

DVC_SECTIONS = ("data", "model", "panel_training")
"""The sections that DVC stages depend on: what is made before a run, not in it."""
PARAMS = Path("params.yaml")


def render(recipe: str = "laptop") -> str:
    """Return `params.yaml` as the recipe of this name has it."""
    values = RECIPES[recipe]().model_dump(mode="json")
    sections = {name: values[name] for name in DVC_SECTIONS}
    header = "# Generated from mmedagent/recipes by `make params`; CI checks that it is.\n"
    return header + yaml.safe_dump(sections, sort_keys=True)


def main() -> int:
    """Write the file, or with `--check` say whether it is the recipe's."""
    parser = argparse.ArgumentParser(description="Write params.yaml, DVC's view of a recipe.")
    parser.add_argument("--recipe", choices=RECIPES, default="laptop")
    parser.add_argument("--check", action="store_true", help="only say whether it is up to date")
    arguments = parser.parse_args()
    wanted = render(arguments.recipe)
    if not arguments.check:
        atomic.write_text(PARAMS, wanted)
    elif not PARAMS.exists() or PARAMS.read_text() != wanted:
        print(
            f"{PARAMS} is not what the {arguments.recipe} recipe says: run `make params` and"
            " commit it."
        )
        return int(ExitCode.CRASH)
    return int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
