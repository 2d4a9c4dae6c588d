"""The rows of a Parquet file, a few at a time, and the images that the hub keeps in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from mmedagent.cases.sources.contract import SourceImage
from mmedagent.cases.sources.release import Release
from mmedagent.errors import BadDataError
from mmedagent.recipes.sets import LimitsRecipe

_ROWS = 32
"""Rows that are held at once: with an image of some megabytes each, about 100 MB."""


def parquet_rows(
    release: Release, name: str, wanted: Sequence[str], also: Sequence[str] = ()
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each row of file `name` with its place (`train.parquet[17]`, from 0).

    Of the columns only those `wanted`, which must be there, and those of `also` that are there.
    Raises `BadDataError` when the file is no Parquet file, is cut short, or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = release.place(name)
    with release.open(name) as file:
        try:
            table = pq.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False)
            there = set(table.schema_arrow.names)
            if missing := [column for column in wanted if column not in there]:
                raise BadDataError(
                    f"{place}: no column {', '.join(missing)}; it has {', '.join(sorted(there))}"
                )
            columns = [*wanted, *(column for column in also if column in there)]
            number = 0
            for batch in table.iter_batches(_ROWS, columns=columns, use_threads=False):
                for row in batch.to_pylist():
                    yield f"{place}[{number}]", row
                    number += 1
        except (pa.ArrowException, OSError, ValueError) as error:
            kind = type(error).__name__
            raise BadDataError(f"{place}: no whole Parquet file ({kind}); fetch it again") from (
                error
            )


@dataclass(frozen=True)
class Held:
    """An image that came with its row: called, it gives the bytes."""

    data: bytes | None
    place: str
    most: int

    def __call__(self) -> bytes:
        """Return the encoded image; `BadDataError` when the row has none or it is too large."""
        if not self.data:
            raise BadDataError(
                f"{self.place}: no image bytes in the row; export the set with its images in it"
            )
        if len(self.data) > self.most:
            raise BadDataError(
                f"{self.place}: an image of {len(self.data)} bytes, the limit is {self.most}"
                " (`limits.max_image_bytes` of the data set)"
            )
        return self.data


def image_in(value: Any, place: str, limits: LimitsRecipe) -> SourceImage:
    """Return the image in a cell: the hub's struct of `bytes` and `path`, or plain bytes."""
    data = value.get("bytes") if isinstance(value, dict) else value
    if data is not None and not isinstance(data, bytes):
        raise BadDataError(f"{place}: a {type(data).__name__} is no image; bytes are wanted")
    return SourceImage(place, Held(data, place, limits.max_image_bytes))


def subject_in(image: SourceImage) -> str:
    """Return a name for the picture in a cell that tells no file name: 16 digits of its sha256."""
    assert isinstance(image.read, Held)
    return f"image-{sha256(image.read.data or b'').hexdigest()[:16]}"
