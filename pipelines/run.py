"""`mmedagent run`: from a recipe's name to trained doctors, a verdict, a server that answers."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console

from mmedagent.errors import ExitCode, MMedAgentError
from mmedagent.home import HOME_VARIABLE, home_folder
from mmedagent.recipes.resolve import resolve
from mmedagent.recipes.schema import Recipe
from mmedagent.records import now
from mmedagent.training.machine import check_machine
from mmedagent.workdir import WORK_VARIABLE
from pipelines import taskrecords
from pipelines.dag import EXIT_TASK, TASKS
from pipelines.local import LocalRun
from pipelines.plan import Plan, make_plan
from pipelines.prepare import (
    STARTER,
    build_stages,
    check_checkout,
    check_working_tree,
    checked_versions,
)
from pipelines.runfolder import git_revision, new_run, point_latest, update_run
from pipelines.screen import Screen

VERDICT_CODES = {
    "pass": ExitCode.OK,
    "fail": ExitCode.FAIL,
    "underpowered": ExitCode.UNDERPOWERED,
}


class TaskFailed(MMedAgentError):
    """A task of the DAG failed: its own message, and its own exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        known = {int(member) for member in ExitCode}
        self.exit_code = ExitCode(code) if code in known and code else ExitCode.CRASH


@dataclass(frozen=True)
class Options:
    """What the command line asks for beside the recipe."""

    data: str = STARTER
    """The data revision: `NAME` or `NAME@REVISION`."""
    serve: bool = True
    """Afterwards, have the served version answer one question."""
    parallel: int = 2
    """Tasks without an edge between them that run side by side."""


def run(recipe_name: str, overrides: Sequence[str], options: Options, console: Console) -> int:
    """Retrain, judge, register, deploy, report; then serve. Return the verdict's exit code.

    Raises:
        MMedAgentError: whatever stopped it, with the exit code that stands for it.
    """
    root, home = Path.cwd(), home_folder()
    recipe = resolve(recipe_name, overrides)
    check_machine(recipe.training.triage, "training.triage")
    check_machine(recipe.training.attending, "training.attending")
    check_checkout(root, recipe)
    runs = home / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    os.environ[HOME_VARIABLE] = str(home)
    os.environ.setdefault(WORK_VARIABLE, str(home / "work"))
    try:
        with FileLock(runs / ".lock", timeout=0):
            prepare(root, home, console, check_working_tree(root, options.data))
            code = _run_dag(root, home, recipe, options, console)
    except Timeout:
        raise MMedAgentError(
            f"another run is under way in {runs}: wait for it, or stop it"
        ) from None
    if options.serve:
        from pipelines.afterwards import serve_and_ask

        serve_and_ask(root, home, recipe, options.data, console)
    return code


def prepare(root: Path, home: Path, console: Console, data: str = STARTER) -> None:
    """Have the object store up, the DVC stages built, and them and the set `data` pushed."""
    from mmedagent.storage.dvc_remote import set_dvc_remote
    from mmedagent.storage.local import ensure_local_store

    config = ensure_local_store(home)
    os.environ.update(config.environment())
    set_dvc_remote(root, config)
    build_stages(root, home, lambda line: console.print(f"  {line}", style="dim"), data)


def _run_dag(root: Path, home: Path, recipe: Recipe, options: Options, console: Console) -> int:
    from mmedagent.registry.records import data_of, judged_against
    from pipelines.retraining import retraining

    plan = make_plan(
        root,
        recipe,
        checked_versions(root, options.data),
        lambda inputs: judged_against(home, inputs),
        lambda version: data_of(home, version),
    )
    folder = new_run(home / "runs", plan, git_revision(root))
    point_latest(folder)
    console.print(f"run [bold]{folder.name}[/]  ({folder})", highlight=False, soft_wrap=True)
    with Screen(console) as screen:
        local = LocalRun(
            folder,
            cache=home / ".cache" / "kfp",
            observer=screen,
            parallel=options.parallel,
            before_exit=lambda: conclude(local, plan),
        )
        try:
            succeeded = local.execute(retraining, {"run": str(folder), **plan.arguments()})
        except BaseException:
            update_run(folder, state="failed", exit_code=int(ExitCode.CRASH), finished=now())
            raise
    return _outcome(local, succeeded, console)


def conclude(local: LocalRun, plan: Plan) -> None:
    """Write to `run.json` how the run ended, before the report reads it."""
    missing = [name for name in plan.tasks if not _is_done(local.folder, name)]
    state = "interrupted" if local.interrupted else "failed" if missing else "done"
    update_run(local.folder, state=state, exit_code=_exit_code(local), finished=now())


def _exit_code(local: LocalRun) -> int:
    if local.interrupted:
        kept = any(_is_done(local.folder, task.name) for task in TASKS)
        codes = [_error(local.folder, task.name)[1] for task in TASKS]
        resumable = kept or int(ExitCode.INTERRUPTED) in codes
        return int(ExitCode.INTERRUPTED if resumable else ExitCode.CRASH)
    if local.failures:
        return int(TaskFailed("", _error(local.folder, local.failures[0])[1]).exit_code)
    return int(VERDICT_CODES[read_verdict(local.folder)[0]])


def _outcome(local: LocalRun, succeeded: bool, console: Console) -> int:
    """Say how it went, and return or raise the exit code that stands for it."""
    folder = local.folder
    report = folder / "report.html"
    if report.exists():
        console.print(f"report  {report}", highlight=False, soft_wrap=True)
    code = _exit_code(local)
    if local.interrupted:
        raise TaskFailed("stopped; the same command goes on from what is done", code)
    if local.failures:
        task = local.failures[0]
        raise TaskFailed(f"{task}: {_error(folder, task)[0]}", code)
    if not succeeded:
        raise TaskFailed(f"{EXIT_TASK}: failed, see {folder / 'logs'}", int(ExitCode.CRASH))
    verdict, reasons = read_verdict(folder)
    console.print(f"verdict [bold]{verdict}[/]", highlight=False)
    for reason in reasons:
        console.print(f"  - {reason}", markup=False, highlight=False, soft_wrap=True)
    return code


def read_verdict(run: Path) -> tuple[str, list[str]]:
    """Return the verdict of a run and its reasons, from the gate's own file.

    Raises:
        MMedAgentError: the gate has left no verdict, or one that is none.
    """
    record = taskrecords.read(run, "gate") or {}
    folder = record.get("outputs", {}).get("verdict")
    try:
        verdict = json.loads((Path(folder or "") / "verdict.json").read_text(encoding="utf-8"))
        if verdict["verdict"] not in VERDICT_CODES:
            raise ValueError(verdict["verdict"])
        return str(verdict["verdict"]), [str(reason) for reason in verdict["reasons"]]
    except (OSError, ValueError, KeyError) as error:
        raise MMedAgentError(f"the gate of {run.name} left no verdict: {error}") from None


def _is_done(run: Path, task: str) -> bool:
    return (taskrecords.read(run, task) or {}).get("state") in ("executed", "cached", "reused")


def _error(run: Path, task: str) -> tuple[str, int]:
    error = (taskrecords.read(run, task) or {}).get("error") or {}
    return str(error.get("message", "failed")), int(error.get("exit_code", 1))
