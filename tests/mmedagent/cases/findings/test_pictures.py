"""The same picture in two pools is found, however it was encoded; flat ones are told apart."""

from pathlib import Path

import pytest

from mmedagent.cases.case import Case, Pool
from mmedagent.cases.findings.finding import Finding
from mmedagent.cases.findings.pictures import (
    flat_images,
    near_duplicates,
    same_images,
    same_pixels,
)
from mmedagent.recipes.data import ValidationRecipe
from tests.mmedagent.cases.examples import example, noise, row
from tests.mmedagent.cases.findings.small import RECIPE, again, facts_of, flat, ids


def _shown(number: int, pool: Pool, *images: bytes) -> Case:
    return example(number, pool, images=images)


def _alike(folder: Path, *cases: Case) -> list[tuple[Finding, list[str]]]:
    with facts_of(folder, cases) as facts:
        found = [
            *same_images(facts),
            *same_pixels(facts),
            *near_duplicates(facts, RECIPE),
        ]
        return [(finding, ids(facts, finding.cases)) for finding in found]


def test_the_same_bytes_in_two_pools(tmp_path: Path) -> None:
    [(finding, cases)] = _alike(
        tmp_path,
        _shown(0, "train", noise(1)),
        _shown(1, "train", noise(1)),
        _shown(0, "test", noise(1)),
        _shown(1, "test", noise(2)),
    )
    assert finding.kind == "same_image" and "test, train" in finding.says
    assert cases == ["test-0", "train-0", "train-1"]
    assert {value for _, value in finding.cases} == {"train-0", "test-0"}


def test_a_renamed_copy_without_loss_has_the_same_pixels(tmp_path: Path) -> None:
    picture = noise(1, 84)
    copy = again(picture, 84, "PNG", compress_level=1)
    assert copy != picture
    [(finding, cases)] = _alike(
        tmp_path, _shown(0, "train", picture), _shown(0, "test", copy), _shown(9, "test", noise(9))
    )
    assert finding.kind == "same_pixels" and cases == ["test-0", "train-0"]


@pytest.mark.parametrize(("size", "format"), [(84, "JPEG"), (60, "PNG")])
def test_the_same_picture_encoded_anew_or_scaled(tmp_path: Path, size: int, format: str) -> None:
    picture = noise(1, 84)
    copy = again(picture, size, format)
    [(finding, cases)] = _alike(tmp_path, _shown(0, "train", picture), _shown(0, "test", copy))
    assert finding.kind == "near_duplicate" and cases == ["test-0", "train-0"]
    assert len(finding.images) == 2


def test_the_id_does_not_depend_on_the_other_cases(tmp_path: Path) -> None:
    pair = _shown(0, "train", noise(1, 84)), _shown(0, "test", again(noise(1, 84), 84, "JPEG"))
    [(first, _)] = _alike(tmp_path / "one", *pair)
    others = [_shown(n, "validation", noise(50 + n)) for n in range(4)]
    [(second, _)] = _alike(tmp_path / "two", *others, *pair)
    assert first.id == second.id


def test_one_image_of_several_is_enough(tmp_path: Path) -> None:
    shared = noise(7)
    [(finding, cases)] = _alike(
        tmp_path, _shown(0, "train", noise(1), shared), _shown(0, "test", shared, noise(2))
    )
    assert finding.kind == "same_image" and cases == ["test-0", "train-0"]


def test_inside_one_pool_nothing_leaks(tmp_path: Path) -> None:
    copy = again(noise(1, 84), 84, "JPEG")
    assert not _alike(tmp_path, _shown(0, "train", noise(1, 84)), _shown(1, "train", copy))


def test_different_pictures_do_not_leak(tmp_path: Path) -> None:
    pools: tuple[Pool, ...] = ("train", "test")
    assert not _alike(tmp_path, *(_shown(n, pools[n % 2], noise(n, 84)) for n in range(80)))


def test_a_picture_that_does_not_decode_is_left_to_another_check(tmp_path: Path) -> None:
    cases = [row(example(0, "train"), image=b"nothing"), row(example(0, "test"), image=b"nothing")]
    with facts_of(tmp_path, cases) as facts:
        assert not list(same_images(facts))


def test_flat_images_are_told_apart_and_kept_out_of_the_search(tmp_path: Path) -> None:
    cases = [
        _shown(0, "train", flat(0)),
        _shown(0, "test", flat(0)),
        _shown(1, "train", flat(90)),
        _shown(1, "test", flat(90, speck=96)),
        _shown(2, "train", noise(3)),
    ]
    with facts_of(tmp_path, cases) as facts:
        constant = [ids(facts, each.cases) for each in flat_images(facts, RECIPE, constant=True)]
        blank = [ids(facts, each.cases) for each in flat_images(facts, RECIPE, constant=False)]
        assert sorted(constant) == [["test-0", "train-0"], ["train-1"]]
        assert blank == [["test-1"]]
        strict = ValidationRecipe(blank_spread=0.0)
        assert not list(flat_images(facts, strict, constant=False))
    assert not _alike(tmp_path / "again", *cases)


def test_a_crowd_is_reported(tmp_path: Path) -> None:
    pools: tuple[Pool, ...] = ("train", "test")
    copies = [again(noise(1, 84), 60 + n, "PNG") for n in range(8)]
    cases = [_shown(n, pools[n % 2], image) for n, image in enumerate(copies)]
    with facts_of(tmp_path, cases) as facts:
        assert len({bytes(h) for (h,) in facts.rows("SELECT phash FROM pictures")}) > 4
        found = list(near_duplicates(facts, ValidationRecipe(max_crowd=3)))
        crowds = [each for each in found if each.kind == "crowded_hashes"]
    assert len(crowds) == 1 and "were not compared" in crowds[0].says
