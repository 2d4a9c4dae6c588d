"""Writes a data version table by table, holding no more than one row group of each pool."""

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from mmedagent import atomic
from mmedagent.cases.layout import SchemaVersion, schema
from mmedagent.digests import digest_file, digest_value
from mmedagent.errors import BadDataError

MANIFEST = "manifest.json"
ROWS_PER_SHARD = 20_000
BYTES_PER_GROUP = 64 * 2**20
"""A row group is closed at so many bytes: what a reader holds at least."""
_POOL = re.compile(r"^[a-z][a-z_]{0,30}$")


class VersionWriter(AbstractContextManager["VersionWriter"]):
    """Makes the folder of one data version: whole when the block ends well, or not at all.

    Equal tables in equal order give equal bytes, however they were cut into calls of `add`.
    """

    def __init__(self, folder: Path, name: str, version: SchemaVersion = 2) -> None:
        """Prepare to write the set `name` to `folder`, which is replaced when all is written."""
        self.manifest: dict[str, Any] = {}
        """What was written, once the block has ended."""
        self._folder, self._name, self._version = folder, name, version
        self._pools: dict[str, _Shards] = {}
        self._extras: dict[str, bytes] = {}
        self._new = atomic.new_folder(folder)

    def __enter__(self) -> Self:
        self._aside = self._new.__enter__()
        return self

    def add(self, pool: str, table: pa.Table) -> None:
        """Append rows to a pool. Raises `BadDataError` when its name is no folder's."""
        if not _POOL.match(pool):
            raise BadDataError(f"{self._folder}: {pool!r} is no pool")
        if pool not in self._pools:
            self._pools[pool] = _Shards(self._aside, pool, self._version)
        self._pools[pool].add(table)

    def extra(self, name: str, data: bytes) -> None:
        """Put a file beside the manifest, which lists it: a report, a person's reviews."""
        self._extras[name] = data

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            try:
                self._finish()
            except BaseException as problem:
                self._new.__exit__(type(problem), problem, problem.__traceback__)
                raise
        self._new.__exit__(kind, error, trace)

    def _finish(self) -> None:
        files: dict[str, Any] = {}
        for shards in self._pools.values():
            files |= shards.close()
        if not files:
            raise BadDataError(f"{self._folder}: no cases to write")
        for name, data in self._extras.items():
            atomic.write_bytes(self._aside / name, data)
        self.manifest = manifest_of(self._name, self._version, files, self._extra_facts())
        atomic.write_json(self._aside / MANIFEST, self.manifest)

    def _extra_facts(self) -> dict[str, dict[str, Any]]:
        return {
            name: {"sha256": digest_file(self._aside / name), "bytes": len(data)}
            for name, data in sorted(self._extras.items())
        }


def manifest_of(
    name: str,
    version: SchemaVersion,
    files: Mapping[str, Any],
    extras: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a manifest; its digest is over the cases alone, each extra has a sha256 of its own."""
    manifest = {"schema": version, "name": name, "files": files, "digest": digest_value(files)}
    return manifest | ({"extras": extras} if extras else {})


class _Shards:
    """One pool's shards: rows wait until a row group or a shard is full."""

    def __init__(self, folder: Path, pool: str, version: SchemaVersion) -> None:
        self._folder, self._pool, self._schema = folder, pool, schema(version)
        self._waiting: list[pa.Table] = []
        self._rows = self._bytes = 0
        self._writer: pq.ParquetWriter | None = None
        self._in_shard = 0
        self._files: dict[str, Any] = {}
        (folder / pool).mkdir()

    def add(self, table: pa.Table) -> None:
        # Row by row in bytes, so that group borders do not depend on how the calls were cut.
        sizes = _row_bytes(table)
        start = 0
        for end, size in enumerate(sizes, 1):
            self._rows, self._bytes = self._rows + 1, self._bytes + size
            full = self._in_shard + self._rows == ROWS_PER_SHARD
            if full or self._bytes >= BYTES_PER_GROUP:
                self._waiting.append(table.slice(start, end - start))
                start = end
                self._flush()
                if full:
                    self._close_shard()
        if start < len(sizes):
            # A slice would keep the whole table alive.
            self._waiting.append(table.slice(start))

    def close(self) -> dict[str, Any]:
        self._flush()
        self._close_shard()
        return self._files

    def _name(self) -> str:
        return f"{self._pool}/part-{len(self._files):05d}.parquet"

    def _flush(self) -> None:
        if not self._rows:
            return
        if self._writer is None:
            # One image has several questions: a dictionary as large as the row group stores its
            # bytes once.
            self._writer = pq.ParquetWriter(
                self._folder / self._name(),
                self._schema,
                compression="zstd",
                dictionary_pagesize_limit=1 << 28,
            )
        table = pa.concat_tables(self._waiting).combine_chunks()
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._in_shard += self._rows
        self._waiting, self._rows, self._bytes = [], 0, 0

    def _close_shard(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        path = self._folder / self._name()
        facts = {"sha256": digest_file(path), "bytes": path.stat().st_size, "rows": self._in_shard}
        self._files[self._name()] = facts
        self._writer, self._in_shard = None, 0


def _row_bytes(table: pa.Table) -> list[int]:
    """Return how many bytes of images each row has."""
    import pyarrow.compute as pc

    if "image" in table.column_names:
        lengths = pc.binary_length(pc.struct_field(table["image"], "bytes"))
        return [length or 0 for length in lengths.to_pylist()]
    sizes: list[int] = []
    for chunk in table["images"].chunks:
        lengths = pc.binary_length(pc.struct_field(chunk.flatten(), "bytes"))
        parents = pc.list_parent_indices(chunk)
        total = [0] * len(chunk)
        for row, length in zip(parents.to_pylist(), lengths.to_pylist(), strict=True):
            total[row] += length or 0
        sizes += total
    return sizes
