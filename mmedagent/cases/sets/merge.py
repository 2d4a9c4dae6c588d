"""Makes a data version of other data versions: their cases as they are, in one set.

`python -m mmedagent.cases.sets.merge NAME` is what a merged set's DVC stage runs. The members were
de-identified and normalised when they were added; nothing of a case is touched here.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmedagent.cases.adding.declaration import read_declaration, verify_release
from mmedagent.cases.adding.progress import Tell, progress_bars, silent
from mmedagent.cases.case import POOLS
from mmedagent.cases.layout import from_arrow, schema, to_arrow
from mmedagent.cases.sets.columns import text_hashes
from mmedagent.cases.sets.members import members_file
from mmedagent.cases.store import read_manifest
from mmedagent.cases.writer import VersionWriter
from mmedagent.digests import canonical_json
from mmedagent.errors import BadDataError, ExitCode, MMedAgentError
from mmedagent.recipes.sets import DataSetRecipe

_AT_ONCE = 256
"""Rows that are written together."""


def merge_sets(recipe: DataSetRecipe, root: Path, out: Path, tell: Tell = silent) -> dict[str, Any]:
    """Make the data version `out` of the members that `recipe` pins; return its `ingest.json`.

    Cases keep their pools, and their ids, which begin with their source; members follow each other
    by name, so the order they were given in changes no byte. Raises `BadDataError`: a member is not
    the pinned version, or two members have a case of one id.
    """
    verify_release(root / recipe.release, recipe.sha256, tell)
    pinned = members_file(root, recipe)
    manifests = {name: _member(root, name, digest, recipe) for name, digest in pinned.items()}
    total = sum(_rows(manifest) for manifest in manifests.values())
    pools: dict[str, int] = {}
    ids: list[Any] = []
    with VersionWriter(out, recipe.name) as writer:
        for pool in POOLS:
            for name in sorted(pinned):
                for table in _tables(root / "data" / name, manifests[name], pool):
                    writer.add(pool, table)
                    ids.append(text_hashes(table["case_id"]))
                    pools[pool] = pools.get(pool, 0) + table.num_rows
                    tell("merging cases", sum(pools.values()), total)
        _refuse_repeated(ids, recipe)
        report = _report(recipe, manifests, pools)
        writer.extra("ingest.json", canonical_json(report))
    return report


def _member(root: Path, name: str, digest: str, recipe: DataSetRecipe) -> dict[str, Any]:
    manifest = read_manifest(root / "data" / name)
    if manifest["digest"] != digest:
        raise BadDataError(
            f"{recipe.name} pins {name} at {digest[:12]}, and data/{name} is"
            f" {manifest['digest'][:12]}: `mmedagent data merge {recipe.name}` with the same"
            f" members pins what is there, `mmedagent data pull {name}@REVISION` brings the other"
        )
    unknown = {relative.split("/")[0] for relative in manifest["files"]} - set(POOLS)
    if unknown:
        raise BadDataError(f"data/{name} has pools that are none: {', '.join(sorted(unknown))}")
    return manifest


def _tables(folder: Path, manifest: dict[str, Any], pool: str) -> Iterator[pa.Table]:
    """Yield a pool's cases in the current schema, a few at once, in the version's own order."""
    for relative in manifest["files"]:
        if relative.split("/")[0] != pool:
            continue
        with pq.ParquetFile(folder / relative) as shard:
            for batch in shard.iter_batches(_AT_ONCE):
                old = manifest["schema"] == 1
                yield to_arrow(from_arrow(batch)) if old else pa.table(batch).cast(schema())


def _refuse_repeated(ids: list[Any], recipe: DataSetRecipe) -> None:
    every = np.concatenate(ids) if ids else np.zeros(0, np.int64)
    repeated = len(every) - len(np.unique(every))
    if repeated:
        raise BadDataError(
            f"{recipe.name}: {repeated} case ids occur in two members, which hold the same cases:"
            " merge only one of those"
        )


def _rows(manifest: dict[str, Any]) -> int:
    return sum(int(facts["rows"]) for facts in manifest["files"].values())


def _report(
    recipe: DataSetRecipe, manifests: dict[str, dict[str, Any]], pools: dict[str, int]
) -> dict[str, Any]:
    members = {
        name: {"digest": manifest["digest"], "cases": _rows(manifest)}
        for name, manifest in sorted(manifests.items())
    }
    return {
        "schema": 1,
        "name": recipe.name,
        "source": {"name": "sets", "title": "Merged from " + ", ".join(members), "licence": ""},
        "release_sha256": recipe.sha256,
        "cases": sum(pools.values()),
        "pools": pools,
        "members": members,
    }


def main() -> int:
    """Make the merged set that `params.yaml` declares: what `dvc repro NAME` calls."""
    parser = argparse.ArgumentParser(description="Make the data version of a merged data set.")
    parser.add_argument("name", help="a set that `mmedagent data merge` has declared")
    arguments = parser.parse_args()
    try:
        recipe = read_declaration(arguments.name)
        with progress_bars() as tell:
            report = merge_sets(recipe, Path.cwd(), Path("data") / recipe.name, tell)
    except MMedAgentError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    print(f"{report['cases']} cases of {len(report['members'])} sets")
    return int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
