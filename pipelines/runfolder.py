"""The folder of one run: `runs/<UTC time>-<8 hex of the plan's digest>`, and `runs/latest`."""

import json
import os
import subprocess
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mmedagent.atomic import write_json
from mmedagent.digests import digest_value
from mmedagent.records import now
from pipelines.dag import EXIT_TASK, TASKS
from pipelines.plan import Plan

RUN_FILE = "run.json"


def git_revision(root: Path) -> str | None:
    """Return the commit that is checked out, with `+` when tracked files differ from it."""
    try:
        revision = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return revision + ("+" if changed else "")


def new_run(runs: Path, plan: Plan, revision: str | None) -> Path:
    """Make the folder of a run that starts now, with its `run.json`; return it."""
    time = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    name = f"{time}-{plan.digest[:8]}"
    folder = runs / name
    suffix = 1
    while True:  # two runs of one plan within a second
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            suffix += 1
            folder = runs / f"{name}-{suffix}"
    write_json(folder / RUN_FILE, _facts(folder.name, plan, revision))
    return folder


def update_run(run: Path, **facts: Any) -> None:
    """Change facts of `run.json`."""
    path = run / RUN_FILE
    write_json(path, {**json.loads(path.read_text(encoding="utf-8")), **facts})


def point_latest(run: Path) -> None:
    """Let `runs/latest` be a link to `run`, in one step."""
    aside = run.parent / f".latest.{uuid.uuid4().hex[:8]}"
    aside.symlink_to(run.name)
    os.replace(aside, run.parent / "latest")


def _facts(run_id: str, plan: Plan, revision: str | None) -> dict[str, Any]:
    recipe = plan.recipe.model_dump(mode="json")
    tasks = [{"name": task.name, "after": list(task.upstream)} for task in TASKS]
    return {
        "schema": 1,
        "run_id": run_id,
        "recipe_name": plan.recipe.name,
        "recipe": recipe,
        "state": "running",
        "exit_code": None,
        "started": now(),
        "finished": None,
        "git_revision": revision,
        "data": {
            "name": plan.versions.name,
            "revision": plan.versions.revision,
            "md5": plan.versions.data,
            "manifest": plan.versions.manifest,
        },
        "digests": {
            "inputs": plan.digest,
            "challenger_inputs": plan.challenger,
            "data": plan.versions.data,
            "data_manifest": plan.versions.manifest,
            "base": plan.versions.base,
            "panel": plan.versions.panel,
            "champion": plan.champion,
            "recipe": digest_value(recipe),
            "code": plan.code,
            "image": "none",
        },
        "tasks": [*tasks, {"name": EXIT_TASK, "after": [task.name for task in TASKS]}],
    }


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=True)
    return done.stdout.decode().strip()
