"""Reads single images of a data version by digest: a few for a page, not the whole set."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mmedagent.cases.facts import Facts
from mmedagent.cases.gathering import Unit, units_of
from mmedagent.cases.layout import from_arrow
from mmedagent.digests import digest_bytes

_BATCH = 256


def read_images(
    cases: Path, manifest: dict[str, Any], facts: Facts, digests: Iterable[str]
) -> dict[str, bytes]:
    """Return the encoded images of the digests that the version has; `manifest` is verified.

    The fact file says in which row each one first occurs, so that only those row groups are read.
    """
    rows: dict[int, set[str]] = {}
    for digest in dict.fromkeys(digests):
        position = facts.one("SELECT MIN(position) FROM shown WHERE digest = ?", (digest,))
        if position is not None:
            rows.setdefault(int(position), set()).add(digest)
    images: dict[str, bytes] = {}
    for unit in units_of(cases, manifest) if rows else ():
        wanted = {at - unit.first for at in rows if unit.first <= at < unit.first + unit.rows}
        for number, row in _rows_at(unit, wanted):
            for data in (image["bytes"] for image in row["images"] if image):
                digest = digest_bytes(data) if isinstance(data, bytes) else ""
                if digest in rows[unit.first + number]:
                    images[digest] = data
    return images


def _rows_at(unit: Unit, numbers: set[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows of a row group at `numbers`, counted from its start."""
    if not numbers:
        return
    start = 0
    with pq.ParquetFile(unit.folder / unit.relative) as shard:
        for batch in shard.iter_batches(_BATCH, row_groups=[unit.group]):
            for number in sorted(n for n in numbers if start <= n < start + batch.num_rows):
                yield number, from_arrow(batch.slice(number - start, 1))[0]
            start += batch.num_rows
