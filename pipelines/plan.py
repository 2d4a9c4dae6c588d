"""What a run will do, before it does it: each task's recipe section, versions and digests.

A task's digest covers everything that decides its result (a Merkle tree over the DAG), so equal
digests mean equal results: that is what makes KFP's cache true, and what names work folders.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmedagent.digests import digest_value
from mmedagent.errors import UsageError
from mmedagent.recipes.evaluation import OF_THEIR_OWN
from mmedagent.recipes.schema import Recipe
from mmedagent.stepplan import StepPlan
from pipelines.code_digest import code_digest
from pipelines.dag import TASKS, TRAINED, Task

NO_CHAMPION = "none"


@dataclass(frozen=True)
class Versions:
    """What exists before a run: DVC folder versions (md5) that tasks fetch by themselves."""

    data: str
    base: str
    panel: str
    name: str = "starter"
    """The data set that `data` is a version of; like the next two, for people: it decides nothing
    beside `data`."""
    revision: str | None = None
    """The Git revision or digest that the user asked for."""
    manifest: str | None = None
    """The digest of the data version's own manifest."""


@dataclass(frozen=True)
class Plan:
    """A planned run."""

    recipe: Recipe
    versions: Versions
    champion: str
    challenger: str
    """The digest of everything that decides the pair that will be trained."""
    tasks: Mapping[str, StepPlan]

    @property
    def digest(self) -> str:
        """The digest of the whole run's inputs; its first 8 digits are in the run's name."""
        return digest_value({name: task.digest for name, task in self.tasks.items()})

    @property
    def code(self) -> str:
        """The digest over all tasks' code."""
        return digest_value({name: task.code for name, task in self.tasks.items()})

    def arguments(self) -> dict[str, str]:
        """Return the pipeline's parameters: each task's plan as JSON."""
        return {task.parameter: self.tasks[task.name].as_json() for task in TASKS}


def make_plan(
    root: Path,
    recipe: Recipe,
    versions: Versions,
    judged_against: Callable[[str], str] = lambda _challenger: NO_CHAMPION,
    data_of: Callable[[str], str] = lambda _version: NO_CHAMPION,
) -> Plan:
    """Plan a run.

    Args:
        root: the checkout whose code will run.
        recipe: the resolved recipe.
        versions: data, base and panel.
        judged_against: from the digest that decides the challenger to the version it is (or was)
            judged against: a rerun of what made the champion keeps its verdict.
        data_of: from that version to the data version that made it, which validation compares the
            new data with; `none` when it is unknown.

    Raises:
        UsageError: a source or the lock file is missing, or the recipe asks for a baseline that no
            task of a run trains.
    """
    _require_trained(recipe)
    codes = {name: code_digest(root, name) for name in {task.component for task in TASKS}}
    values = recipe.model_dump(mode="json")
    known = {"data": versions.data, "base": versions.base, "panel": versions.panel}
    plans: dict[str, StepPlan] = {}
    # Whoever wants the version before is planned last: nobody reads its output, and the champion
    # is known only once the training is planned.
    for task in sorted(TASKS, key=lambda task: "before" in task.versions):
        if "champion" in task.versions and "champion" not in known:
            trained = [plans[name].digest for name in TRAINED]
            known["challenger"] = digest_value([*trained, versions.panel])
            known["champion"] = judged_against(known["challenger"])
            known["before"] = _before(recipe, known["champion"], versions.data, data_of)
        plans[task.name] = _plan_task(task, values, known, plans, codes[task.component])
    ordered = {task.name: plans[task.name] for task in TASKS}
    return Plan(recipe, versions, known["champion"], known["challenger"], ordered)


def _before(recipe: Recipe, champion: str, data: str, data_of: Callable[[str], str]) -> str:
    """Return the data version to compare with: another one than the run's own, or `none`."""
    if champion == NO_CHAMPION or recipe.validation.policy.get("drift") == "off":
        return NO_CHAMPION
    before = data_of(champion)
    return NO_CHAMPION if before == data else before


def _require_trained(recipe: Recipe) -> None:
    untrained = [name for name in recipe.evaluation.baselines if name in OF_THEIR_OWN]
    if untrained:
        raise UsageError(
            f"evaluation.baselines: no task of a run trains {', '.join(untrained)}. `mmedagent"
            " study` measures them; leave them out here"
        )


def _plan_task(
    task: Task,
    values: dict[str, Any],
    known: Mapping[str, str],
    plans: Mapping[str, StepPlan],
    code: str,
) -> StepPlan:
    versions = {name: known[name] for name in task.versions}
    upstream = {name: plans[name].digest for name in task.inputs}
    return StepPlan(
        task=task.name,
        recipe={path: _section(values, path) for path in task.sections},
        versions=versions,
        inputs=digest_value({"upstream": upstream, "versions": versions}),
        code=code,
    )


def _section(values: dict[str, Any], path: str) -> Any:
    for key in path.split("."):
        values = values[key]
    return values
