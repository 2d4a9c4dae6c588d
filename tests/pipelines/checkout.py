"""A checkout in miniature: the project's code, drawn cases, a tiny base and panel as DVC stages.

`python -m tests.pipelines.checkout <stage>` is what its DVC stages call.
"""

import os
import subprocess
import sys
from pathlib import Path

import yaml

from mmedagent.recipes.params import render

ROOT = Path(__file__).parents[2]
STAGES = {"starter": "data/starter", "base": "models/base", "panel": "models/panel"}
COUNTS = {"panel": 60, "warm_start": 32, "train": 48, "validation": 24, "test": 32}


def make_checkout(folder: Path) -> None:
    """Make `folder` a checkout in which `mmedagent run` works; nothing is built yet."""
    for name in ("mmedagent", "components", "pipelines", "tests"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "requirements.lock").symlink_to(ROOT / "requirements.lock")
    (folder / "params.yaml").write_text(render())
    stages = {
        stage: {
            "cmd": f"{sys.executable} -m tests.pipelines.checkout {stage}",
            "deps": [] if stage == "starter" else [STAGES["starter"]],
            "outs": [out],
        }
        for stage, out in STAGES.items()
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    dvc = [sys.executable, "-m", "dvc", "init", "--no-scm", "-q"]
    subprocess.run(dvc, cwd=folder, check=True, env={**os.environ, "DVC_NO_ANALYTICS": "1"})


def main() -> None:
    from mmedagent.cases.store import write_cases
    from mmedagent.models.base import build_base
    from mmedagent.panel.train import train_panel
    from mmedagent.recipes.model import ModelRecipe
    from mmedagent.recipes.panel import PanelTrainingRecipe, SpecialistTrainingRecipe
    from tests.mmedagent.conftest import _cases

    stage = sys.argv[1]
    out = Path(STAGES[stage])
    if stage == "starter":
        write_cases(out, "drawn", [c for pool, n in COUNTS.items() for c in _cases(n, pool)])
    elif stage == "base":
        build_base(ModelRecipe(), Path(STAGES["starter"]), out)
    else:
        specialists = tuple(
            SpecialistTrainingRecipe(name=name, strong=(strong,), seed=seed)
            for name, strong, seed in (
                ("alder", "modality", 1),
                ("birch", "region", 2),
                ("cedar", "modality", 3),
            )
        )
        recipe = PanelTrainingRecipe(specialists=specialists, steps=40, batch_size=16)
        train_panel(Path(STAGES["starter"]), recipe, out)


if __name__ == "__main__":
    main()
