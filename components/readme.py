"""Writes each component's README.md from its shell's signature and docstring.

`python -m components.readme` writes them all; with `--check` it says which are out of date.
"""

import ast
import re
import sys
from pathlib import Path

from mmedagent.atomic import write_text
from mmedagent.errors import ExitCode, UsageError

FOLDER = Path(__file__).parent


def shells() -> list[Path]:
    """Return the shells' files, by name."""
    return sorted(FOLDER.glob("*/component.py"))


def shell_function(path: Path) -> ast.FunctionDef:
    """Return the one function of a shell.

    Raises:
        UsageError: the file has none, or several.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    if len(found) != 1:
        raise UsageError(f"{path}: a shell is one function, here are {len(found)}")
    return found[0]


def render(path: Path) -> str:
    """Return the README of the component whose shell is `path`."""
    function = shell_function(path)
    text = ast.get_docstring(function) or ""
    about, _, arguments = text.partition("\nArgs:\n")
    described = dict(re.findall(r"^ +(\w+): (.+)$", arguments, flags=re.MULTILINE))
    lines = [f"# {function.name}", "", about.strip(), "", "| | name | type | |", "|-|-|-|-|"]
    for argument in function.args.args:
        kind, type_name = _kind(ast.unparse(argument.annotation) if argument.annotation else "")
        what = described.get(argument.arg, "")
        lines.append(f"| {kind} | `{argument.arg}` | {type_name} | {what} |")
    calls = sorted(_library_functions(function))
    lines += ["", "Calls " + ", ".join(f"`{name}`" for name in calls) + "."]
    lines += ["", "<!-- Written by `python -m components.readme`: edit the shell instead. -->", ""]
    return "\n".join(lines)


def _kind(annotation: str) -> tuple[str, str]:
    match = re.fullmatch(r"(Input|Output)\[(\w+)\]", annotation)
    return (match[1].lower(), match[2]) if match else ("parameter", annotation)


def _library_functions(function: ast.FunctionDef) -> set[str]:
    """Return the functions of the library that the shell imports, helpers aside."""
    helpers = ("mmedagent.workdir", "mmedagent.recipes", "mmedagent.home")
    return {
        f"{node.module}.{alias.name}"
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mmedagent.")
        for alias in node.names
        if not (node.module or "").startswith(helpers)
    }


def main() -> int:
    """Write the files, or with `--check` say which differ."""
    stale = [path for path in shells() if _read(path.parent / "README.md") != render(path)]
    if "--check" not in sys.argv[1:]:
        for path in stale:
            write_text(path.parent / "README.md", render(path))
        return int(ExitCode.OK)
    for path in stale:
        print(f"{path.parent / 'README.md'} is stale: run `python -m components.readme`")
    return int(ExitCode.CRASH if stale else ExitCode.OK)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
