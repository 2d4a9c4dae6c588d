"""How pixels become pictures, pictures questions, and sources pools."""

import io

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from mmedagent.cases.case import POOLS
from mmedagent.cases.starter.pictures import Picture, cut, grid, png, squared, still, window
from mmedagent.cases.starter.questions import OPTIONS, WORDING, cases_of
from mmedagent.cases.starter.splits import Blocks, whole
from mmedagent.cases.starter.volumes import Volume, read_nrrd


@given(
    pools=st.lists(st.sampled_from(POOLS), min_size=2, max_size=9),
    gap=st.floats(0.05, 0.9),
    count=st.integers(20, 300),
)
def test_blocks_of_two_pools_never_touch(pools: list[str], gap: float, count: int) -> None:
    plan = Blocks(tuple(pools), gap)
    placed = [plan.pool(n / (count - 1)) for n in range(count)]
    assert set(placed) <= set(pools) | {None}
    blocks = [int(min(n / (count - 1), 1 - 1e-9) * len(pools)) for n in range(count)]
    used = [(n, block) for n, (block, pool) in enumerate(zip(blocks, placed, strict=True)) if pool]
    for (n, block), (following, other) in zip(used, used[1:], strict=False):
        if block != other:
            assert (following - n) / (count - 1) >= gap / len(pools) - 1e-6


def test_a_whole_source_has_one_pool() -> None:
    assert {whole("test").pool(n / 10) for n in range(11)} == {"test"}
    assert whole("test").pool(1.1) is None


def test_slices_are_shown_as_radiologists_look_at_them() -> None:
    # One bright voxel: far right, far back, on top.
    voxels = np.zeros((4, 5, 6), np.int16)
    voxels[3, 0, 5] = 100
    volume = Volume(voxels, (1.0, 1.0, 1.0))
    axial, coronal, sagittal = (
        volume.slice("axial", 5), volume.slice("coronal", 0), volume.slice("sagittal", 3),
    )  # fmt: skip
    assert axial.shape == (5, 4) and axial[-1, 0] == 100  # back is down, right is left
    assert coronal.shape == (6, 4) and coronal[0, 0] == 100  # top is up, right is left
    assert sagittal.shape == (6, 5) and sagittal[0, -1] == 100  # top is up, back is right


def test_thick_slices_get_square_pixels() -> None:
    volume = Volume(np.zeros((10, 10, 4), np.int16), (1.0, 1.0, 5.0))
    assert volume.slice("axial", 0).shape == (10, 10)
    assert volume.slice("coronal", 0).shape == (20, 10)


@pytest.mark.parametrize("sign", [1, -1])
def test_nrrd_directions_are_obeyed(sign: int) -> None:
    values = np.arange(8, dtype="<i2").reshape((2, 2, 2), order="F")
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 2 2\n"
        f"space directions: ({sign},0,0) (0,{sign},0) (0,0,3)\nendian: little\nencoding: raw\n\n"
    )
    volume = read_nrrd(header.encode() + values.tobytes(order="F"))
    expected = values[::-1, ::-1] if sign == 1 else values
    assert (volume.voxels == expected).all() and volume.spacing == (1.0, 1.0, 3.0)


def test_a_window_maps_its_ends_to_black_and_white() -> None:
    shown = np.asarray(window(np.array([[-2000, -100, 0, 100, 2000]]), -100, 100))
    assert shown.tolist() == [[0, 0, 128, 255, 255]]


@given(
    width=st.integers(5, 60), height=st.integers(5, 60), x=st.floats(-20, 80),
    y=st.floats(-20, 80), side=st.floats(2, 80),
)  # fmt: skip
@example(width=5, height=5, x=0.0, y=4.0, side=3.5)
def test_cuts_are_square_and_inside(
    width: int, height: int, x: float, y: float, side: float
) -> None:
    image = Image.new("RGB", (width, height), "white")
    square = cut(image, x, y, side)
    assert square.width == square.height <= min(width, height)
    assert np.asarray(square).min() == 255  # nothing from outside the image
    assert squared(image).size == (max(width, height),) * 2


def test_a_grid_tiles_without_overlap() -> None:
    image = Image.fromarray(np.arange(100, dtype=np.uint8).reshape(10, 10))
    squares = grid(image, 5, 5)
    assert len(squares) == 4
    assert sum(int(np.asarray(s)[..., 0].sum()) for _, s, _ in squares) == sum(range(100))


def _picture(facts: dict[str, str]) -> Picture:
    image = Image.new("L", (20, 20), 90)
    return Picture("name", still(image), "CT", "Radiologist", "source", "subject", "train", facts)


def test_pictures_are_asked_in_a_fixed_order_of_options() -> None:
    facts = {"plane": "axial", "region": "chest", "window": "lung", "level": "upper"}
    cases = cases_of([_picture(facts)] * 4, 84, dict.fromkeys(POOLS, 3))
    assert len(cases) == 12
    for case in cases:
        assert case.options == OPTIONS[case.question_type]
        assert case.answer == ({"modality": "CT"} | facts)[case.question_type]
        assert len(case.question.split()) <= 12
    assert {case.question_type for case in cases} == {"modality", *facts}
    opened = Image.open(io.BytesIO(cases[0].images[0]))
    assert (opened.size, opened.mode, opened.format) == ((84, 84), "RGB", "PNG")


def test_wording_of_one_specialtys_questions_is_shared() -> None:
    """The triage doctor reads the question: only what all are asked has its own words."""
    assert set(WORDING) == {"modality", "region"}


def test_png_has_no_metadata_and_is_the_same_each_time() -> None:
    image = Image.effect_noise((50, 50), 40)
    assert png(image, 84) == png(image.copy(), 84)
    assert not Image.open(io.BytesIO(png(image, 84))).info
