"""A study's folder: where its files lie, written atomically, read with errors that name a field."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mmedagent.atomic import write_text
from mmedagent.errors import BrokenEvidenceError, UsageError
from mmedagent.study.schema import Cell, Pool, Shared, Study, misfits

FileT = TypeVar("FileT", Study, Pool, Shared, Cell)
_WIDTH = 100


@dataclass(frozen=True)
class Evidence:
    """Everything that lies in a study's folder."""

    study: Study
    pools: Mapping[str, Pool]
    shared: Mapping[int, Shared]
    """Seed -> what its cells share."""
    cells: Mapping[str, Mapping[int, Cell]]
    """Row -> seed -> cell."""


def study_path(folder: Path) -> Path:
    """Return where a study says what it is."""
    return folder / "study.json"


def pool_path(folder: Path, pool: str) -> Path:
    """Return where the measured cases of `pool` lie."""
    return folder / f"pool-{pool}.json"


def shared_path(folder: Path, seed: int) -> Path:
    """Return where what the cells of `seed` share lies."""
    return folder / "shared" / f"seed-{seed}.json"


def cell_path(folder: Path, row: str, seed: int) -> Path:
    """Return where a cell lies."""
    return folder / "cells" / row / f"seed-{seed}.json"


def write_file(path: Path, value: Study | Pool | Shared | Cell) -> None:
    """Replace `path` by `value`, whole or not at all."""
    write_text(path, layout(value))


def layout(value: BaseModel) -> str:
    """Return `value` as JSON with a short object or list on one line: compact, and diffable."""
    plain = value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return _layout(plain, "") + "\n"


def read_file(path: Path, kind: type[FileT], pools: Mapping[str, Pool] | None = None) -> FileT:
    """Read one of a study's files, and check its lengths where `pools` are given.

    Raises `BrokenEvidenceError` that names the file and the field.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BrokenEvidenceError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        value = kind.model_validate_json(raw)
    except ValidationError as error:
        raise BrokenEvidenceError(f"{path}: {_explain(error)}") from None
    if pools is not None and isinstance(value, Shared | Cell):
        wrong = misfits(value, pools)
        if wrong:
            raise BrokenEvidenceError(f"{path}: {'; '.join(wrong[:3])}")
    return value


def read_evidence(folder: Path) -> Evidence:
    """Read a whole study and check that its files belong together.

    Raises `UsageError` when there is no study, `BrokenEvidenceError` when a file cannot be read,
    says to be another one than its place says, or is of another study than `study.json`.
    """
    if not study_path(folder).is_file():
        raise UsageError(f"{folder} holds no study (no study.json); `mmedagent study` makes one")
    study = read_file(study_path(folder), Study)
    pools = {name: read_file(pool_path(folder, name), Pool) for name in study.pools}
    shared = {}
    for path in sorted((folder / "shared").glob("seed-*.json"), key=_seed_of):
        value = read_file(path, Shared, pools)
        _placed(path, {"seed": (value.seed, _seed_of(path))})
        shared[value.seed] = value
    cells: dict[str, dict[int, Cell]] = {}
    for path in _cell_files(folder):
        cell = read_file(path, Cell, pools)
        check_cell(path, cell, study)
        cells.setdefault(cell.row, {})[cell.seed] = cell
    return Evidence(study, pools, shared, cells)


def check_cell(path: Path, cell: Cell, study: Study) -> None:
    """Check that the cell at `path` is the one its place says, and of this study."""
    _placed(
        path,
        {
            "row": (cell.row, path.parent.name),
            "seed": (cell.seed, _seed_of(path)),
            "recipe_digest": (cell.recipe_digest, study.recipe_digest),
            "data_digest": (cell.data_digest, study.data_digest),
        },
    )


def _cell_files(folder: Path) -> Iterator[Path]:
    for row in sorted(p for p in (folder / "cells").glob("*") if p.is_dir()):
        yield from sorted(row.glob("seed-*.json"), key=_seed_of)


def _seed_of(path: Path) -> int:
    digits = path.stem.removeprefix("seed-")
    if not digits.isdigit():
        raise BrokenEvidenceError(f"{path}: a file of a seed is called seed-<number>.json")
    return int(digits)


def _placed(path: Path, facts: Mapping[str, tuple[Any, Any]]) -> None:
    for name, (said, expected) in facts.items():
        if said != expected:
            raise BrokenEvidenceError(f"{path}: {name} is {said!r}, its study says {expected!r}")


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False)[:3]:
        place = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{place}: {message}" if place else message)
    return "; ".join(lines)


def _layout(value: Any, indent: str) -> str:
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    whole = bool(indent) and len(indent) + len(line) <= _WIDTH
    if not isinstance(value, dict | list) or not value or whole:
        return line
    deeper = indent + " "
    if isinstance(value, dict):
        items = [
            f"{json.dumps(key, ensure_ascii=False)}: {_layout(item, deeper)}"
            for key, item in value.items()
        ]
        return f",\n{deeper}".join(items).join((f"{{\n{deeper}", f"\n{indent}}}"))
    items = [_layout(item, deeper) for item in value]
    scalars = not any(isinstance(item, dict | list) for item in value)
    rows = _filled(items, _WIDTH - len(deeper)) if scalars else items
    return f",\n{deeper}".join(rows).join((f"[\n{deeper}", f"\n{indent}]"))


def _filled(items: Sequence[str], width: int) -> list[str]:
    """Return items joined to as few rows of at most `width` characters as hold them."""
    rows = [items[0]]
    for item in items[1:]:
        if len(rows[-1]) + len(item) + 2 <= width:
            rows[-1] += f", {item}"
        else:
            rows.append(item)
    return rows
