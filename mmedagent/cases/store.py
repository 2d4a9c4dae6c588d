"""Data versions on disk: Parquet shards with embedded images, a manifest, the same bytes always.

A data version is a folder `<pool>/part-00000.parquet` and `manifest.json`. The shards are what
Hugging Face `datasets` reads (`load_dataset("parquet", data_dir=...)`): the column `image` is its
`Image` feature, a struct of encoded bytes and a path; the other columns are the fields of `Case`.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from mmedagent import atomic
from mmedagent.cases.case import POOLS, Case
from mmedagent.digests import digest_file, digest_value
from mmedagent.errors import BadDataError

MANIFEST = "manifest.json"
_TEXT = (
    "case_id",
    "question",
    "answer",
    "question_type",
    "modality",
    "specialty",
    "source",
    "subject",
    "pool",
)
_ROWS_PER_SHARD = 20_000
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def schema() -> pa.Schema:
    """Return the shards' Arrow schema, with the metadata that `datasets` takes features from."""
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    fields = [pa.field("image", _IMAGE)]
    for name in _TEXT:
        features[name] = {"dtype": "string", "_type": "Value"}
        fields.append(pa.field(name, pa.string()))
    features["options"] = {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"}
    fields.append(pa.field("options", pa.list_(pa.string())))
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema(fields, metadata=metadata)


def write_cases(folder: Path, name: str, cases: Iterable[Case]) -> dict[str, Any]:
    """Write `cases` as the data version `folder`, atomically, and return its manifest.

    Cases are sorted by pool and id, so that equal cases give equal bytes in any order.
    Raises `BadDataError` on a repeated case id or when there are no cases.
    """
    members = list(cases)
    _refuse_repeated(folder, members)
    return write_rows(folder, name, [_row_of(case) for case in members])


def write_rows(folder: Path, name: str, rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Write rows as they are stored, unchecked: `write_cases` for what validation has to judge.

    Raises `BadDataError` when there are no rows, or a pool has a name that is no folder's.
    """
    ordered = sorted(rows, key=lambda row: (_pool_order(str(row["pool"])), str(row["case_id"])))
    if not ordered:
        raise BadDataError(f"{folder}: no cases to write")
    with atomic.new_folder(folder) as aside:
        files = {}
        for pool in dict.fromkeys(str(row["pool"]) for row in ordered):
            if not pool.replace("_", "").isalnum():
                raise BadDataError(f"{folder}: {pool!r} is no pool")
            members = [row for row in ordered if row["pool"] == pool]
            for number, start in enumerate(range(0, len(members), _ROWS_PER_SHARD)):
                relative = f"{pool}/part-{number:05d}.parquet"
                shard = members[start : start + _ROWS_PER_SHARD]
                files[relative] = _write_shard(aside / relative, shard)
        manifest = {"schema": 1, "name": name, "files": files, "digest": digest_value(files)}
        atomic.write_json(aside / MANIFEST, manifest)
    return manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a data version after verifying every file against it.

    Raises `BadDataError` when there is none, it is none, or a file is missing, added or changed.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BadDataError(
            f"{folder} is no data version: it has no {MANIFEST}. "
            "The starter set is made by `dvc repro starter`."
        )
    try:
        manifest = json.loads(path.read_bytes())
        files: dict[str, dict[str, Any]] = manifest["files"]
        if manifest["schema"] != 1 or manifest["digest"] != digest_value(files):
            raise ValueError("its digest is not that of its list of files")
        for relative, facts in files.items():
            _verify(folder, relative, str(facts["sha256"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadDataError(f"{path} is no manifest: {error}") from error
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*.parquet")}
    if extra := sorted(there - set(files)):
        raise BadDataError(f"{folder}: {extra} not in the manifest")
    return dict(manifest)


def read_rows(folder: Path, pools: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return the verified version's rows as they are stored, unchecked, for validation to judge."""
    manifest = read_manifest(folder)
    rows: list[dict[str, Any]] = []
    for relative in sorted(manifest["files"], key=_pool_order):
        if pools is not None and relative.split("/")[0] not in pools:
            continue
        try:
            rows += pq.read_table(folder / relative).to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise BadDataError(f"{folder / relative} is no Parquet shard: {error}") from error
    return rows


def read_cases(folder: Path, pools: Sequence[str] | None = None) -> list[Case]:
    """Return the cases of a verified data version, of all pools or of those named, in order.

    Raises `BadDataError` when the version is not whole or a row is no case.
    """
    cases = []
    for row in read_rows(folder, pools):
        try:
            cases.append(case_of(row))
        except (ValidationError, KeyError, TypeError, AttributeError) as error:
            name = row.get("case_id")
            raise BadDataError(f"{folder}: case {name!r} is not valid: {error}") from error
    return cases


def case_of(row: dict[str, Any]) -> Case:
    """Return one stored row as a `Case`. Raises what pydantic raises when it is none."""
    fields = {name: row[name] for name in _TEXT}
    return Case(image=row["image"]["bytes"], options=tuple(row["options"]), **fields)


def _row_of(case: Case) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(case, name) for name in _TEXT}
    row["image"] = {"bytes": case.image, "path": f"{case.image_digest}.png"}
    return row | {"options": list(case.options)}


def _write_shard(path: Path, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(list(rows), schema=schema())
    # One image has several questions: a dictionary as large as the shard stores its bytes once.
    pq.write_table(table, path, compression="zstd", dictionary_pagesize_limit=1 << 28)
    return {"sha256": digest_file(path), "bytes": path.stat().st_size, "rows": len(rows)}


def _verify(folder: Path, relative: str, sha256: str) -> None:
    path = folder / relative
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BadDataError(f"{folder}: the manifest names {relative!r}, outside the folder")
    if not path.is_file():
        raise BadDataError(f"{path} is in the manifest and not in the folder")
    if digest_file(path) != sha256:
        raise BadDataError(f"{path} is not the file of the manifest: its sha256 differs")


def _refuse_repeated(folder: Path, rows: Sequence[Case]) -> None:
    seen: set[str] = set()
    for case in rows:
        if case.case_id in seen:
            raise BadDataError(f"{folder}: case id {case.case_id!r} occurs twice")
        seen.add(case.case_id)


def _pool_order(relative: str) -> tuple[int, str]:
    pool = relative.split("/")[0]
    return (list(POOLS).index(pool) if pool in POOLS else len(POOLS), relative)
