"""Opinions and tiers as Parquet tables: what `label` and `curriculum` hand to training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from mmedagent.atomic import write_bytes
from mmedagent.cases.case import Opinion
from mmedagent.errors import BadDataError

OPINIONS = "opinions.parquet"
CURRICULUM = "curriculum.parquet"

Tier = Literal["easy", "medium", "hard"]
"""All specialists right; divided; all wrong. METHOD, section 'Curriculum (C-MARL)'."""
TIERS: tuple[Tier, ...] = get_args(Tier)

_OPINION_SCHEMA = pa.schema(
    [
        ("case_id", pa.string()),
        ("specialist", pa.string()),
        ("role", pa.string()),
        ("letter", pa.string()),
        ("reasoning", pa.string()),
        ("raw", pa.string()),
    ]
)
_CURRICULUM_SCHEMA = pa.schema(
    [("case_id", pa.string()), ("agreement", pa.float64()), ("tier", pa.string())]
)


@dataclass(frozen=True)
class Placement:
    """Where the curriculum puts one training case."""

    agreement: float
    """The share of the panel that is right, 0 to 1."""
    tier: Tier


def tier_of(agreement: float) -> Tier:
    """Return the tier of a case of which the share `agreement` of the panel is right."""
    if not 0.0 <= agreement <= 1.0:
        raise ValueError(f"agreement {agreement}: a share lies between 0 and 1")
    if agreement == 1.0:
        return "easy"
    return "hard" if agreement == 0.0 else "medium"


def write_opinions(path: Path, opinions: Mapping[str, Sequence[Opinion]]) -> None:
    """Replace the Parquet file `path` by `opinions`: a row each, in the order given."""
    rows = [
        {"case_id": case_id, **opinion.model_dump()}
        for case_id, said in opinions.items()
        for opinion in said
    ]
    _write(path, rows, _OPINION_SCHEMA)


def read_opinions(path: Path) -> dict[str, tuple[Opinion, ...]]:
    """Read opinions by case, in the panel's order; `path` is the file or the folder that holds it.

    Raises `BadDataError` when the file is missing, is no such table, or names an unknown role.
    """
    found: dict[str, list[Opinion]] = {}
    file = _file(path, OPINIONS)
    for row in _read(file, _OPINION_SCHEMA):
        case_id = row.pop("case_id")
        try:
            found.setdefault(case_id, []).append(Opinion(**row))
        except ValidationError as error:
            raise BadDataError(f"{file}: opinion on case {case_id!r}: {error}") from None
    return {case_id: tuple(said) for case_id, said in found.items()}


def write_curriculum(path: Path, placements: Mapping[str, Placement]) -> None:
    """Replace the Parquet file `path` by `placements`, a row a case, in the order given."""
    rows = [
        {"case_id": case_id, "agreement": place.agreement, "tier": place.tier}
        for case_id, place in placements.items()
    ]
    _write(path, rows, _CURRICULUM_SCHEMA)


def read_curriculum(path: Path) -> dict[str, Placement]:
    """Read each training case's placement; `path` is the file or the folder that holds it.

    Raises `BadDataError` when the file is missing, is no such table, or a tier contradicts its
    agreement.
    """
    placements = {}
    file = _file(path, CURRICULUM)
    for row in _read(file, _CURRICULUM_SCHEMA):
        if row["tier"] not in TIERS or tier_of(row["agreement"]) != row["tier"]:
            raise BadDataError(
                f"{file}: case {row['case_id']!r} is called {row['tier']!r} at agreement"
                f" {row['agreement']}"
            )
        placements[row["case_id"]] = Placement(row["agreement"], row["tier"])
    return placements


def _file(path: Path, name: str) -> Path:
    return path / name if path.is_dir() else path


def _write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    write_bytes(path, sink.getvalue().to_pybytes())


def _read(file: Path, schema: pa.Schema) -> list[dict[str, Any]]:
    if not file.is_file():
        raise BadDataError(f"{file}: no such table; run the step that writes it")
    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise BadDataError(f"{file}: not a readable Parquet file: {error}") from None
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise BadDataError(f"{file}: lacks the columns {', '.join(missing)}")
    rows: list[dict[str, Any]] = table.select(schema.names).to_pylist()
    return rows
