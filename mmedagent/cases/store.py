"""Data versions on disk: Parquet shards with embedded images, a manifest, the same bytes always.

A data version is a folder `<pool>/part-00000.parquet` and `manifest.json`. `cases.layout` has the
columns; Hugging Face `datasets` reads the shards (`load_dataset("parquet", data_dir=...)`).
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from mmedagent.cases.case import POOLS, Case
from mmedagent.cases.layout import SchemaVersion, case_of, from_arrow, row_of, to_arrow
from mmedagent.cases.writer import MANIFEST, VersionWriter
from mmedagent.digests import digest_file, digest_value
from mmedagent.errors import BadDataError

_BATCH = 512
"""Rows read at once: some tens of MB of images."""


def write_cases(
    folder: Path, name: str, cases: Iterable[Case], version: SchemaVersion = 2
) -> dict[str, Any]:
    """Write `cases` as the data version `folder`, atomically, and return its manifest.

    Cases are sorted by pool and id, so that equal cases give equal bytes in any order; all are held
    in memory (`cases.add` streams). Raises `BadDataError` on a repeated case id or no cases.
    """
    members = list(cases)
    _refuse_repeated(folder, members)
    return write_rows(folder, name, [row_of(case) for case in members], version)


def write_rows(
    folder: Path, name: str, rows: Iterable[dict[str, Any]], version: SchemaVersion = 2
) -> dict[str, Any]:
    """Write rows as they are stored, unchecked: `write_cases` for what validation has to judge.

    Raises `BadDataError` when there are no rows, or a pool has a name that is no folder's.
    """
    ordered = sorted(rows, key=lambda row: (_pool_order(str(row["pool"])), str(row["case_id"])))
    with VersionWriter(folder, name, version) as writer:
        for pool in dict.fromkeys(str(row["pool"]) for row in ordered):
            members = [row for row in ordered if row["pool"] == pool]
            writer.add(pool, to_arrow(members, version))
    return writer.manifest


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
        if manifest["schema"] not in (1, 2) or manifest["digest"] != digest_value(files):
            raise ValueError("its digest is not that of its list of files")
        for relative, facts in {**files, **manifest.get("extras", {})}.items():
            _verify(folder, relative, str(facts["sha256"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadDataError(f"{path} is no manifest: {error}") from error
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*.parquet")}
    if extra := sorted(there - set(files)):
        raise BadDataError(f"{folder}: {extra} not in the manifest")
    return dict(manifest)


def iter_rows(
    folder: Path, pools: Sequence[str] | None = None, batch: int = _BATCH
) -> Iterator[dict[str, Any]]:
    """Yield the verified version's rows as they are stored, unchecked, `batch` of them in memory.

    A row has the columns of `layout.TEXT`, `answer_type`, `images` (a list of {"bytes", "path"}),
    `options` (a list) and `attributes` (a dict), whichever schema it is stored in.
    """
    manifest = read_manifest(folder)
    for relative in sorted(manifest["files"], key=_pool_order):
        if pools is not None and relative.split("/")[0] not in pools:
            continue
        try:
            with pq.ParquetFile(folder / relative) as shard:
                for rows in shard.iter_batches(batch):
                    yield from from_arrow(rows)
        except (pa.ArrowException, OSError) as error:
            raise BadDataError(f"{folder / relative} is no Parquet shard: {error}") from error


def iter_cases(folder: Path, pools: Sequence[str] | None = None) -> Iterator[Case]:
    """Yield the cases of a verified data version, of all pools or of those named, in order.

    Raises `BadDataError` when the version is not whole or a row is no case.
    """
    for row in iter_rows(folder, pools):
        try:
            yield case_of(row)
        except (ValidationError, KeyError, TypeError, AttributeError) as error:
            name = row.get("case_id")
            raise BadDataError(f"{folder}: case {name!r} is not valid: {error}") from error


def read_rows(folder: Path, pools: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return all that `iter_rows` yields."""
    return list(iter_rows(folder, pools))


def read_cases(folder: Path, pools: Sequence[str] | None = None) -> list[Case]:
    """Return all that `iter_cases` yields."""
    return list(iter_cases(folder, pools))


def read_multiple_choice(folder: Path, pools: Sequence[str] | None = None) -> list[Case]:
    """Return the cases with lettered options: what the doctors are trained and measured on.

    Open questions stay in the data version; METHOD, section 'Training': 'multiple choice / closed
    form'. Raises `BadDataError` as `iter_cases` does, and when the pools have other cases alone.
    """
    every = read_cases(folder, pools)
    cases = [case for case in every if case.options]
    if every and not cases:
        named = "any pool" if pools is None else " or ".join(pools)
        raise BadDataError(f"{folder}: no multiple-choice case in {named}: nothing to work with")
    return cases


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
