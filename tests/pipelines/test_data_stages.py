"""A data set's stage names the code that its command reaches."""

from pathlib import Path

import pytest

from mmedagent.cases.sets.stage import CODE, MERGE_CODE
from pipelines.code_digest import reached_files

ROOT = Path(__file__).parents[2]
GENERAL = {
    "mmedagent/atomic.py",
    "mmedagent/digests.py",
    "mmedagent/errors.py",
    "mmedagent/interrupt.py",
    "mmedagent/progress.py",
    "mmedagent/recipes/declarations.py",
    "mmedagent/recipes/privacy.py",
    "mmedagent/recipes/sets.py",
}
"""Reached, and deciding no byte of a version: a recipe's values are the stage's parameters."""
READING = {
    "mmedagent/cases/adding/declaration.py",
    "mmedagent/cases/adding/progress.py",
    "mmedagent/cases/sets/columns.py",
    "mmedagent/cases/sets/lock.py",
    "mmedagent/cases/store.py",
}
"""What a merge verifies and finds its members by; it writes their rows as they are."""


@pytest.mark.parametrize(
    ("module", "named", "besides"),
    [
        ("mmedagent.cases.add", CODE, GENERAL),
        ("mmedagent.cases.sets.merge", MERGE_CODE, GENERAL | READING),
    ],
)
def test_what_a_stage_reaches_is_a_dependency(
    module: str, named: tuple[str, ...], besides: set[str]
) -> None:
    reached = {path.relative_to(ROOT).as_posix() for path in reached_files(ROOT, module)}
    code = {path for path in reached if path.endswith(".py") and "__init__" not in path}
    missing = {
        path
        for path in code - besides
        if not any(path == name or path.startswith(f"{name}/") for name in named)
    }
    assert not missing
