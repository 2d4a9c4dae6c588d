"""Generates `params.yaml`, DVC's view of the laptop recipe, and checks that it is up to date.

`python -m mmedagent.recipes.params` writes it; with `--check` it only compares.
"""

import sys
from pathlib import Path

import yaml

from mmedagent import atomic
from mmedagent.errors import ExitCode
from mmedagent.recipes.named import RECIPES

DVC_SECTIONS = ("data", "model", "panel_training")
"""The sections that DVC stages depend on: what is made before a run, not in it."""
PARAMS = Path("params.yaml")


def render() -> str:
    """Return `params.yaml` as the laptop recipe has it."""
    values = RECIPES["laptop"]().model_dump(mode="json")
    sections = {name: values[name] for name in DVC_SECTIONS}
    header = "# Generated from mmedagent/recipes by `make params`; CI checks that it is.\n"
    return header + yaml.safe_dump(sections, sort_keys=True)


def main() -> int:
    """Write the file, or with `--check` say whether it is the recipe's."""
    if "--check" not in sys.argv[1:]:
        atomic.write_text(PARAMS, render())
        return int(ExitCode.OK)
    if PARAMS.exists() and PARAMS.read_text() == render():
        return int(ExitCode.OK)
    print(f"{PARAMS} is not what the laptop recipe says: run `make params` and commit it.")
    return int(ExitCode.CRASH)


if __name__ == "__main__":
    sys.exit(main())
