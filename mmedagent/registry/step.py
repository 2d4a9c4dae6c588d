"""From a planned task to `register`: which file of which step is what."""

import json
from pathlib import Path
from typing import Any

from mmedagent.consultation.doctor import Sampling
from mmedagent.home import home_folder
from mmedagent.recipes.evaluation import EvaluationRecipe
from mmedagent.recipes.panel import PanelRecipe
from mmedagent.records import run_folder
from mmedagent.registry.register import RunFacts, Trained, register
from mmedagent.registry.version import Settings
from mmedagent.workdir import Step


def register_step(
    step: Step, trained: dict[str, str], start: tuple[str, str], evaluation: str, verdict: str
) -> dict[str, Any]:
    """Register what a run made.

    Args:
        step: the planned task; its versions name data, base, panel, champion and challenger.
        trained: model folders by the task that made them; the pair is `triage-rl` and
            `attending-hard`.
        start: the warm-started pair, triage first.
        evaluation: folder with metrics.json.
        verdict: folder with verdict.json.
    """
    curves = {name: Path(path) / "curves.jsonl" for name, path in trained.items()}
    return register(
        Trained(
            triage=Path(trained["triage-rl"]),
            attending=Path(trained["attending-hard"]),
            start_triage=Path(start[0]),
            start_attending=Path(start[1]),
            panel=step.fetched("panel"),
            metrics=Path(evaluation) / "metrics.json",
            verdict=Path(verdict) / "verdict.json",
            curves=curves,
        ),
        _settings(step),
        _facts(step),
        step.store(),
        home_folder(),
        step.out,
    )


def _settings(step: Step) -> Settings:
    measured = step.recipe("evaluation", EvaluationRecipe)
    return Settings(
        style=measured.style,
        sampling=Sampling(temperature=0.0, max_new_tokens=measured.max_new_tokens),
        panel=step.recipe("panel", PanelRecipe),
    )


def _facts(step: Step) -> RunFacts:
    versions = step.plan.versions
    run = run_folder()
    tags = {"code_digest": step.plan.code}
    if run is not None and (run / "run.json").is_file():
        # For people only: it decides nothing, so it is no part of the plan.
        tags["git_revision"] = str(json.loads((run / "run.json").read_bytes()).get("git_revision"))
    return RunFacts(
        planned_inputs=versions["challenger"],
        judged_against=versions["champion"],
        run=run.name if run else "no-run",
        params=step.plan.recipe,
        datasets={name: versions[name] for name in ("data", "base", "panel")},
        tags=tags,
    )
