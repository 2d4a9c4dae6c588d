"""Reads a data version's columns without its images' bytes: what lists and comparisons are made of.

Parquet keeps columns apart, so a version of a million cases is read in seconds and in the memory of
one batch. Both schemas come out in one form.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mmedagent.cases.layout import TEXT
from mmedagent.cases.store import read_manifest
from mmedagent.errors import BadDataError

ROWS = 20_000
"""Rows of a batch; no column that is read here is larger than a text."""
SEPARATOR = "\x1f"
"""Between the entries of a list that is read as one text (the ASCII unit separator)."""
COLUMNS = (*TEXT, "answer_type", "options", "images", "attributes")
"""What may be asked for: every field of `Case`; `images` are the digests."""

Done = Callable[[int, int], None]
"""Told the rows that were read, and how many there are."""


def iter_columns(
    folder: Path, names: Sequence[str] = COLUMNS, done: Done | None = None
) -> Iterator[pa.Table]:
    """Yield tables with the columns `names`, `ROWS` rows at once, in the version's order.

    Texts are strings. `options`, `images` (sha256 of each encoded image) and `attributes`
    (`name=value`) are strings too: their entries joined by `SEPARATOR`. Raises `BadDataError` when
    the version is not whole: every file is verified first.
    """
    manifest = read_manifest(folder)
    total = sum(int(facts["rows"]) for facts in manifest["files"].values())
    read = 0
    for relative in manifest["files"]:
        try:
            with pq.ParquetFile(folder / relative) as shard:
                stored = [_stored_name(name, manifest["schema"]) for name in names]
                wanted = [name for name in stored if name is not None]
                for batch in shard.iter_batches(ROWS, columns=wanted):
                    yield _in_one_form(pa.table(batch), names)
                    read += batch.num_rows
                    if done is not None:
                        done(read, total)
        except (pa.ArrowException, OSError, KeyError) as error:
            raise BadDataError(f"{folder / relative} is no shard of a version: {error}") from error


def text_hashes(column: pa.ChunkedArray | pa.Array) -> Any:
    """Return a 64-bit hash of each text as an int64 array, the same in every process."""
    from pandas.util import hash_array

    texts = column.to_numpy(zero_copy_only=False)
    return hash_array(texts, categorize=True).view(np.int64)


def _stored_name(name: str, schema: int) -> str | None:
    """Return the Parquet column to read for `name`; None when schema 1 has none."""
    if name == "images":
        return "image.path" if schema == 1 else "images.list.element.path"
    if schema == 1 and name in ("answer_type", "attributes"):
        return None
    return name


def _in_one_form(stored: pa.Table, names: Sequence[str]) -> pa.Table:
    return pa.table({name: _column(stored, name) for name in names})


def _column(stored: pa.Table, name: str) -> pa.ChunkedArray:
    if name == "images":
        return _digests(stored)
    if name == "answer_type" and name not in stored.column_names:
        return pa.chunked_array([pa.repeat("closed", stored.num_rows)])
    if name == "attributes":
        return _pairs(stored)
    if name == "options":
        return pc.fill_null(pc.binary_join(stored[name], SEPARATOR), "")
    return pc.fill_null(stored[name].cast(pa.string()), "")


def _digests(stored: pa.Table) -> pa.ChunkedArray:
    """Return the images' digests: a stored image is named `<sha256>.<suffix>`."""
    if "image" in stored.column_names:
        return _stems(pc.struct_field(stored["image"], "path"))
    return _joined(stored["images"], lambda items: _stems(pc.struct_field(items, "path")))


def _pairs(stored: pa.Table) -> pa.ChunkedArray:
    if "attributes" not in stored.column_names:
        return pa.chunked_array([pa.repeat("", stored.num_rows)])

    def pairs(items: pa.Array) -> pa.Array:
        name, value = (pc.struct_field(items, part) for part in ("name", "value"))
        return pc.binary_join_element_wise(name, value, "=", null_handling="replace")

    return _joined(stored["attributes"], pairs)


def _joined(lists: pa.ChunkedArray, of: Callable[[pa.Array], pa.Array]) -> pa.ChunkedArray:
    """Return each list's entries, as `of` says them, joined to one text."""
    chunks = []
    for chunk in lists.chunks:
        texts = pa.ListArray.from_arrays(_offsets(chunk), of(chunk.flatten()))
        chunks.append(pc.binary_join(texts, SEPARATOR))
    return pa.chunked_array(chunks, type=pa.string())


def _offsets(lists: pa.ListArray) -> pa.Array:
    """Return the lists' borders in `flatten()`, which starts at 0 and skips null lists."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    return pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])


def _stems(paths: pa.Array) -> pa.Array:
    return pc.fill_null(pc.replace_substring_regex(paths, r"\.[a-z]+$", ""), "")
