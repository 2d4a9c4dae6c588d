"""What a data version's cases are like: counts by category, and of whole numbers."""

import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mmedagent.cases.sets.columns import Done, iter_columns
from mmedagent.cases.store import read_manifest
from mmedagent.errors import BadDataError

CATEGORIES = ("pool", "specialty", "modality", "source", "question_type", "answer_type")
"""Counted one by one."""
ANSWERS = "answer, by question type"
LENGTH = "question length"
SIDE = "longer side of images"
_MOST_ANSWERS = 20_000
"""Distinct answers that are told apart; further ones count as `_REST`."""
_REST = "(all others)"
_IMAGE_ROWS = 256
_PNG = b"\x89PNG\r\n\x1a\n"
_HEAD = 24
"""Bytes of a PNG up to the end of width and height."""


@dataclass
class Distributions:
    """Counts over one version. Memory grows with the number of categories, not of cases."""

    cases: int = 0
    categories: dict[str, Counter[str]] = field(
        default_factory=lambda: {name: Counter() for name in (*CATEGORIES, ANSWERS)}
    )
    """Distribution -> category -> cases. Answers are of multiple-choice cases alone, as
    `question type: answer`."""
    numbers: dict[str, Counter[int]] = field(default_factory=lambda: {LENGTH: Counter()})
    """Distribution -> value -> cases (question length, in characters) or images (side, in
    pixels)."""


def distributions(folder: Path, done: Done | None = None, images: bool = True) -> Distributions:
    """Count what the cases of the version in `folder` are like.

    `images` also reads the headers of all images, which takes reading their bytes, a few at a time.
    Raises `BadDataError` when the version is not whole.
    """
    found = Distributions()
    names = (*CATEGORIES, "question", "answer", "options")
    for batch in iter_columns(folder, names, done):
        found.cases += batch.num_rows
        for name in CATEGORIES:
            found.categories[name].update(_counts(batch[name]))
        _count_answers(found.categories[ANSWERS], batch)
        lengths = _counts(pc.utf8_length(batch["question"]))
        found.numbers[LENGTH].update(lengths)
    if images:
        found.numbers[SIDE] = _sides(folder)
    return found


def distance(one: Mapping[Any, int], two: Mapping[Any, int]) -> float:
    """Return the total variation distance: the share of cases that would have to change category.

    0 for equal shares, 1 for nothing in common. Empty against empty is 0, against others 1.
    """
    before, after = sum(one.values()), sum(two.values())
    if not before or not after:
        return 0.0 if before == after else 1.0
    return sum(abs(one.get(k, 0) / before - two.get(k, 0) / after) for k in {*one, *two}) / 2


def widest_gap(one: Mapping[int, int], two: Mapping[int, int]) -> float:
    """Return the Kolmogorov-Smirnov distance: the widest gap between cumulative shares, 0 to 1."""
    before, after = sum(one.values()), sum(two.values())
    if not before or not after:
        return 0.0 if before == after else 1.0
    gap = low = high = 0.0
    for value in sorted({*one, *two}):
        low += one.get(value, 0) / before
        high += two.get(value, 0) / after
        gap = max(gap, abs(low - high))
    return gap


def quantile(counts: Mapping[int, int], share: float) -> int | None:
    """Return the least value with at least `share` of all at or below it; None without any."""
    wanted, seen = share * sum(counts.values()), 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= wanted:
            return value
    return None


def _counts(column: pa.ChunkedArray) -> Counter[Any]:
    entries = pc.value_counts(column.combine_chunks()).to_pylist()
    return Counter({entry["values"]: int(entry["counts"]) for entry in entries})


def _count_answers(counts: Counter[str], batch: pa.Table) -> None:
    chosen = batch.filter(pc.not_equal(batch["options"], ""))
    answers = pc.binary_join_element_wise(chosen["question_type"], chosen["answer"], ": ")
    for answer, count in _counts(answers).items():
        known = answer in counts or len(counts) < _MOST_ANSWERS
        counts[answer if known else _REST] += count


def _sides(folder: Path) -> Counter[int]:
    manifest = read_manifest(folder)
    column = "image.bytes" if manifest["schema"] == 1 else "images.list.element.bytes"
    found: Counter[int] = Counter()
    for relative in manifest["files"]:
        with pq.ParquetFile(folder / relative) as shard:
            for batch in shard.iter_batches(_IMAGE_ROWS, columns=[column]):
                images = batch.column(0)
                if manifest["schema"] != 1:
                    images = images.flatten()
                found.update(_sides_of(pc.struct_field(images, "bytes"), folder / relative))
    return found


def _sides_of(images: pa.Array, place: Path) -> Counter[int]:
    heads = pc.binary_slice(images, 0, _HEAD).to_pylist()
    found: Counter[int] = Counter()
    for number, head in enumerate(heads):
        if head is not None and head.startswith(_PNG) and len(head) == _HEAD:
            sides = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
        else:
            sides = _decoded_size(images[number].as_py() or b"", place)
        found[max(sides)] += 1
    return found


def _decoded_size(image: bytes, place: Path) -> tuple[int, int]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(image)) as opened:
            return opened.size
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        kind = type(error).__name__
        raise BadDataError(f"{place}: an image has no readable header ({kind})") from None
