"""The table of predictions: one row a system, case and sample; all evidence is computed from it.

`predictions.parquet` carries in its schema's metadata which cases were measured, as a digest over
their ids and gold letters, so that a row that was dropped, added or changed is noticed.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mmedagent.cases.case import Case, Opinion
from mmedagent.digests import digest_value
from mmedagent.errors import BrokenEvidenceError

GREEDY = -1
"""The `sample` of a greedy reply; sampled ones count from 0."""

SCHEMA = pa.schema(
    [
        pa.field("system", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("case_id", pa.string(), nullable=False),
        pa.field("image_digest", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("modality", pa.string(), nullable=False),
        pa.field("specialty", pa.string(), nullable=False),
        pa.field("question_type", pa.string(), nullable=False),
        pa.field("pool", pa.string(), nullable=False),
        pa.field("tier", pa.string()),
        pa.field("role", pa.string()),
        pa.field("chosen_specialty", pa.string()),
        pa.field("triage_correct", pa.bool_()),
        pa.field("letter", pa.string()),
        pa.field("gold_letter", pa.string(), nullable=False),
        pa.field("correct", pa.bool_(), nullable=False),
        pa.field("reasoning", pa.string(), nullable=False),
        pa.field("raw", pa.string(), nullable=False),
        pa.field("triage_raw", pa.string(), nullable=False),
        pa.field("opinions", pa.string(), nullable=False),
        pa.field("agreement", pa.float64()),
        pa.field("seconds", pa.float64(), nullable=False),
        pa.field("cost", pa.string(), nullable=False),
    ]
)
"""Columns. `role`: the specialty that the panel was asked in. `chosen_specialty`: what triage
named; null when it named none, and (with `triage_correct`) where no triage took part. `agreement`:
the share of the ballots for `letter`; null where no vote was held. `seconds`: of triage and
attending. `cost`: `evaluation.cost.Cost` as JSON; `{}` where nobody was asked for this row."""

_METADATA = b"mmedagent"

Row = dict[str, Any]


def case_columns(case: Case) -> Row:
    """Return the columns that a row has from its case, gold included."""
    return {
        "case_id": case.case_id,
        "image_digest": case.image_digest,
        "subject": case.subject,
        "source": case.source,
        "modality": case.modality,
        "specialty": case.specialty,
        "question_type": case.question_type,
        "pool": case.pool,
        "gold_letter": case.letter,
    }


def answer_columns(case: Case, letter: str | None, reasoning: str = "", raw: str = "") -> Row:
    """Return the columns of one answer to `case`; an unreadable answer (None) is wrong."""
    return {
        **case_columns(case),
        "letter": letter,
        "correct": letter == case.letter,
        "reasoning": reasoning,
        "raw": raw,
        "triage_raw": "",
        "tier": None,
        "role": None,
        "chosen_specialty": None,
        "triage_correct": None,
        "opinions": "[]",
        "agreement": None,
        "seconds": 0.0,
        "cost": "{}",
    }


def opinions_json(opinions: Sequence[Opinion]) -> str:
    """Return opinions as the JSON of the column `opinions`."""
    return json.dumps([opinion.model_dump() for opinion in opinions], ensure_ascii=False)


def opinions_of(text: str) -> tuple[Opinion, ...]:
    """Read the column `opinions` back."""
    return tuple(Opinion.model_validate(value) for value in json.loads(text))


def expected_digest(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the digest of the measured cases: of their sorted (case_id, gold letter)."""
    return digest_value(sorted([case_id, letter] for case_id, letter in pairs))


def write_predictions(path: Path, rows: Sequence[Row], facts: dict[str, Any]) -> None:
    """Write `rows`, with `facts` (pool, cases, cases_digest, ...) in the schema's metadata."""
    metadata = {_METADATA: json.dumps(facts, sort_keys=True).encode()}
    table = pa.Table.from_pylist(list(rows), schema=SCHEMA.with_metadata(metadata))
    pq.write_table(table, path)


def read_predictions(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read a table of predictions and the facts in its metadata.

    Raises `BrokenEvidenceError` when the file is missing, unreadable, lacks a column or its facts.
    """
    if path.is_dir():
        path = path / "predictions.parquet"
    if not path.is_file():
        raise BrokenEvidenceError(f"{path}: no predictions there; run the evaluation again")
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise BrokenEvidenceError(f"{path}: not a readable Parquet file ({error})") from error
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise BrokenEvidenceError(f"{path}: columns missing: {', '.join(missing)}")
    raw = (table.schema.metadata or {}).get(_METADATA)
    if raw is None:
        raise BrokenEvidenceError(f"{path}: does not say which cases were measured")
    try:
        facts = json.loads(raw)
        table = table.select(SCHEMA.names).cast(SCHEMA)
    except (ValueError, pa.ArrowException) as error:
        raise BrokenEvidenceError(f"{path}: not a table of predictions ({error})") from error
    if not table.num_rows:
        raise BrokenEvidenceError(f"{path}: holds no predictions")
    return table.to_pandas(), facts
