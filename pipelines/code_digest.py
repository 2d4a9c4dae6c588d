"""Which sources a step reaches, by reading imports, and the digest over them.

KFP's cache does not see library code. So each task carries a digest over the `mmedagent` modules
that its shell imports, directly or not, at the top of a file or inside a function, and the files
of their packages that are no Python (templates, tables), and the lock file.
"""

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from mmedagent.digests import digest_bytes, digest_file, digest_value
from mmedagent.errors import UsageError

ROOTS = ("mmedagent", "components")
"""The packages whose sources count; everything else is pinned by the lock file."""
LOCK = "requirements.lock"


def code_digest(root: Path, component: str) -> str:
    """Return the digest of the code that the shell in `components/<component>` reaches.

    Args:
        root: the checkout.
        component: a folder in `components/`.

    Raises:
        UsageError: the component or the lock file is missing, or a source is not Python.
    """
    lock = root / LOCK
    if not lock.is_file():
        raise UsageError(f"{lock} is missing: it pins what a step runs with")
    files = reached_files(root, f"components.{component}.component")
    digests = {path.relative_to(root).as_posix(): digest_file(path) for path in files}
    return digest_value({"sources": digests, "lock": digest_file(lock)})


def reached_files(root: Path, module: str) -> list[Path]:
    """Return the sources that importing `module` can reach, and their packages' other files."""
    if _file_of(root, module) is None:
        raise UsageError(f"no module {module} in {root}")
    found = set(_with_packages(root, module))
    todo = list(found)
    while todo:
        path = todo.pop()
        for name in _names(root, path):
            for reached in _with_packages(root, name):
                if reached not in found:
                    found.add(reached)
                    todo.append(reached)
    folders = {path.parent for path in found if path.is_relative_to(root / "mmedagent")}
    return sorted(found | {other for folder in folders for other in _other_files(folder)})


def _with_packages(root: Path, name: str) -> Iterator[Path]:
    """Yield the file of module `name` and the `__init__` of each package around it."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        path = _file_of(root, ".".join(parts[:end]))
        if path is not None:
            yield path


def _file_of(root: Path, module: str) -> Path | None:
    base = root.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def _other_files(folder: Path) -> Iterator[Path]:
    """Yield a package's files that are no Python, also in subfolders that are no packages."""
    for path in folder.iterdir():
        if path.is_dir() and path.name != "__pycache__" and not (path / "__init__.py").exists():
            yield from _other_files(path)
        elif path.is_file() and path.suffix not in (".py", ".pyc") and path.name[0] != ".":
            yield path


def _names(root: Path, path: Path) -> tuple[str, ...]:
    source = path.read_bytes()
    package = ".".join(path.parent.relative_to(root).parts)
    try:
        return _imported(digest_bytes(source), source, package)
    except SyntaxError as error:
        raise UsageError(f"{path}:{error.lineno}: {error.msg}") from None


@lru_cache(maxsize=4096)
def _imported(_digest: str, source: bytes, package: str) -> tuple[str, ...]:
    """Return the dotted names of ours that a source imports, or spells out as a string.

    A string that is exactly a module's name counts: so are servers started (`python -m ...`) and
    modules loaded by name.
    """
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    return tuple(sorted(name for name in names if _is_ours(name)))


def _base(node: ast.ImportFrom, package: str) -> str:
    if node.level == 0:
        return node.module or ""
    parts = package.split(".")
    above = parts[: len(parts) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def _is_ours(name: str) -> bool:
    root, _, rest = name.partition(".")
    return root in ROOTS and bool(rest) and all(p.isidentifier() for p in rest.split("."))
