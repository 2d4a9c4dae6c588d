"""The shells: thin, documented by themselves, free of the library until they run."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from components import readme

ROOT = Path(__file__).parents[2]
SHELLS = readme.shells()
NAMES = [path.parent.name for path in SHELLS]
MOST_LINES = 25


def code_lines(function: ast.FunctionDef) -> int:
    """Lines of a function without its docstring."""
    text = function.body[0]
    docstring = (text.end_lineno or 0) - text.lineno + 1 if ast.get_docstring(function) else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def test_every_step_has_its_folder() -> None:
    expected = "curriculum deploy evaluate gate ingest label register report train_attending"
    assert [*expected.split(), "train_triage", "validate", "warm_start"] == NAMES


@pytest.mark.parametrize("path", SHELLS, ids=NAMES)
def test_a_shell_is_thin(path: Path) -> None:
    assert code_lines(readme.shell_function(path)) <= MOST_LINES


@pytest.mark.parametrize("path", SHELLS, ids=NAMES)
def test_a_shell_calls_one_library_function(path: Path) -> None:
    function = readme.shell_function(path)
    assert len(readme._library_functions(function)) == 1
    loops = (ast.For, ast.While, ast.If, ast.Try)
    assert not [node for node in ast.walk(function) if isinstance(node, loops)]


@pytest.mark.parametrize("path", SHELLS, ids=NAMES)
def test_a_shell_describes_every_parameter(path: Path) -> None:
    rows = [line for line in readme.render(path).splitlines() if line.startswith("| ")]
    arguments = readme.shell_function(path).args.args
    assert len(rows) == len(arguments) + 1
    assert not [row for row in rows[1:] if row.endswith("|  |")]


@pytest.mark.parametrize("path", SHELLS, ids=NAMES)
def test_the_readme_is_the_signatures(path: Path) -> None:
    assert (path.parent / "README.md").read_text() == readme.render(path)


@pytest.mark.parametrize("path", SHELLS, ids=NAMES)
def test_what_a_shell_imports_exists(path: Path) -> None:
    """By reading sources: importing them all would bring torch, MLflow and Great Expectations."""
    for node in ast.walk(readme.shell_function(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mmedagent"):
            module = ROOT.joinpath(*(node.module or "").split(".")).with_suffix(".py")
            defined = {
                item.name
                for item in ast.parse(module.read_text()).body
                if isinstance(item, ast.FunctionDef | ast.ClassDef)
            }
            assert {alias.name for alias in node.names} <= defined, module


def test_reading_the_dag_brings_no_heavy_library() -> None:
    code = (
        "import sys, pipelines.retraining; heavy = {'torch', 'transformers', 'trl', 'mlflow',"
        " 'great_expectations', 'datasets'}; print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
