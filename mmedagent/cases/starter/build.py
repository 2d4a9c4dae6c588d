"""Builds the starter data set from the fetched packages; the DVC stage `starter` runs this."""

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from mmedagent.cases.case import POOLS, Specialty
from mmedagent.cases.starter.dermatology import dermatology
from mmedagent.cases.starter.fetch import CACHE
from mmedagent.cases.starter.ophthalmology import ophthalmology
from mmedagent.cases.starter.pathology import pathology
from mmedagent.cases.starter.pictures import Picture
from mmedagent.cases.starter.plain import plain
from mmedagent.cases.starter.questions import Progress, cases_of
from mmedagent.cases.starter.radiology import radiology
from mmedagent.cases.store import write_cases
from mmedagent.errors import ExitCode, MMedAgentError
from mmedagent.recipes.data import DataRecipe

MAKERS: Mapping[Specialty, tuple[Callable[[Path], Iterable[Picture]], ...]] = {
    "Radiologist": (radiology, plain),
    "Pathologist": (pathology,),
    "Ophthalmologist": (ophthalmology,),
    "Dermatologist": (dermatology,),
}
"""Who cuts the pictures of each specialty."""


def build(
    cache: Path, recipe: DataRecipe, out: Path, progress: Progress | None = None
) -> dict[str, Any]:
    """Cut the starter set from the packages in `cache` into the folder `out`; return its manifest.

    Equal packages and an equal recipe give equal bytes. Raises `UsageError` when a package was not
    fetched.
    """
    pictures = pictures_of(cache, recipe)
    cases = cases_of(pictures, recipe.image_size, recipe.questions_per_image, progress)
    return write_cases(out, recipe.name, cases, version=1)


def pictures_of(cache: Path, recipe: DataRecipe) -> list[Picture]:
    """Cut every picture and keep each specialty's and pool's quota of them."""
    kept: list[Picture] = []
    for specialty, makers in MAKERS.items():
        quota = recipe.quota.get(specialty, {})
        if not any(quota.values()):
            continue
        found = list(itertools.chain.from_iterable(make(cache) for make in makers))
        for pool in POOLS:
            members = [picture for picture in found if picture.pool == pool]
            by_modality = _groups(members, lambda picture: picture.modality)
            shared = _in_turn([list(_evenly(group)) for group in by_modality])
            kept += itertools.islice(shared, quota.get(pool, 0))
    return kept


def _evenly(pictures: Iterable[Picture]) -> Iterator[Picture]:
    """Yield the pictures group by group in turn, and inside a group far apart first."""
    return _in_turn([_spread(group) for group in _groups(pictures, lambda picture: picture.group)])


def _groups(pictures: Iterable[Picture], key: Callable[[Picture], str]) -> list[list[Picture]]:
    groups: dict[str, list[Picture]] = {}
    for picture in pictures:
        groups.setdefault(key(picture), []).append(picture)
    return list(groups.values())


def _in_turn(lists: list[list[Picture]]) -> Iterator[Picture]:
    for turn in itertools.zip_longest(*lists):
        yield from (picture for picture in turn if picture is not None)


def _spread(members: list[Picture]) -> list[Picture]:
    """Order members so that any first few are spread over the whole (van der Corput, base 2)."""
    bits = max(1, (len(members) - 1).bit_length())
    order = (int(f"{n:0{bits}b}"[::-1], 2) for n in range(1 << bits))
    return [members[n] for n in order if n < len(members)]


def main() -> int:
    """Build the starter set that `params.yaml` describes: what `dvc repro starter` calls."""
    values = yaml.safe_load(Path("params.yaml").read_text())["data"]
    recipe = DataRecipe.model_validate(values)
    try:
        manifest = build(CACHE, recipe, Path("data") / recipe.name)
    except MMedAgentError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    rows = sum(facts["rows"] for facts in manifest["files"].values())
    print(f"{rows} cases, digest {manifest['digest']}")
    return int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
