"""Facts of a few cases, without the expectation suites: what the checks look at."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from mmedagent.cases.adding.progress import silent
from mmedagent.cases.case import Case
from mmedagent.cases.facts import Facts, open_facts
from mmedagent.cases.findings.pictures import forget_alike
from mmedagent.cases.gathering import gather
from mmedagent.cases.store import read_manifest, write_rows
from mmedagent.interrupt import StopRequest
from mmedagent.recipes.data import ValidationRecipe
from tests.mmedagent.cases.examples import row

RECIPE = ValidationRecipe()


@contextmanager
def facts_of(
    folder: Path, cases: Sequence[Case | dict[str, Any]], recipe: ValidationRecipe = RECIPE
) -> Iterator[Facts]:
    """The facts of stored cases (or of rows that are none)."""
    rows = [row(each) if isinstance(each, Case) else each for each in cases]
    write_rows(folder / "data", "small", rows)
    manifest = read_manifest(folder / "data")
    with open_facts(folder / "work", {"data": manifest["digest"]}) as facts:
        gather(facts, folder / "data", manifest, recipe, silent, StopRequest(), workers=1)
        forget_alike(facts)
        yield facts


def ids(facts: Facts, positions: Sequence[tuple[int, Any]]) -> list[str]:
    """The case ids of a finding's cases."""
    query = "SELECT case_id FROM cases WHERE position = ?"
    return sorted(str(facts.one(query, (position,))) for position, _ in positions)


def again(data: bytes, size: int, format: str, **options: Any) -> bytes:
    """The picture scaled and encoded anew."""
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(data)).convert("RGB").resize((size, size))
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def flat(grey: int, size: int = 40, speck: int | None = None) -> bytes:
    """An image of one value, or with one pixel of another."""
    picture = Image.new("RGB", (size, size), (grey, grey, grey))
    if speck is not None:
        picture.putpixel((3, 5), (speck, speck, speck))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
