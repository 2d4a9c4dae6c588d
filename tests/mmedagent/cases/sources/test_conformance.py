"""Every adapter, in every layout and packing, holds to the one contract."""

import json
import random
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from mmedagent.cases.sources.json_rows import json_rows
from mmedagent.cases.sources.registry import SOURCES, source
from mmedagent.cases.sources.release import open_release
from mmedagent.errors import BadDataError, UsageError
from mmedagent.recipes.sets import LimitsRecipe, SourceRecipe
from tests.mmedagent.cases.sources.conformance import hold, hold_lazy, most_memory, read
from tests.mmedagent.cases.sources.releases import (
    LAYOUTS,
    held,
    picture,
    rad_row,
    slake_hub,
    tarred,
    write_files,
    write_parquet,
    zipped,
)

PACKINGS = ["folder", "zip", "tar", "tar.gz"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_adapter_holds_to_the_contract(layout: str, tmp_path: Path) -> None:
    name, write = LAYOUTS[layout]
    hold(source(name), write(tmp_path / "release"))


@pytest.mark.parametrize("packing", PACKINGS[1:])
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if "hub" not in name])
def test_every_packing_gives_the_same_cases(layout: str, packing: str, tmp_path: Path) -> None:
    name, write = LAYOUTS[layout]
    folder = write(tmp_path / "release")
    packed = tmp_path / f"packed.{packing}"
    zipped(folder, packed) if packing == "zip" else tarred(folder, packed)
    plain, skipped = read(source(name), folder)
    cases, skipped_packed = read(source(name), packed)
    assert [case.key for case in cases] == [case.key for case in plain]
    assert skipped_packed == skipped


@pytest.mark.parametrize("layout", ["vqa-rad original", "slake original", "omni-med-vqa original"])
@pytest.mark.parametrize("packing", ["folder", "zip"])
def test_images_are_read_when_they_are_asked_for(layout: str, packing: str, tmp_path: Path) -> None:
    name, write = LAYOUTS[layout]
    path = write(tmp_path / "release")
    if packing == "zip":
        path = zipped(path, tmp_path / "release.zip")
    with open_release(path, LimitsRecipe()) as release:
        images = [each for each in release.names() if each.endswith((".jpg", ".png"))]
        cases = source(name).cases(release, SourceRecipe(name=name), Counter())
        hold_lazy(cases, release, images)


@pytest.mark.parametrize("layout", ["vqa-rad original", "slake original", "omni-med-vqa original"])
def test_a_missing_image_is_named(layout: str, tmp_path: Path) -> None:
    name, write = LAYOUTS[layout]
    folder = write(tmp_path / "release")
    gone = sorted([*folder.rglob("*.jpg"), *folder.rglob("*.png")])[0]
    gone.unlink()
    with pytest.raises(BadDataError, match=rf"{gone.name}: not in the release; fetch") as caught:
        read(source(name), folder)
    assert caught.value.exit_code == 13


def test_a_missing_image_in_a_parquet_row_is_named(tmp_path: Path) -> None:
    rows = [{"image": {"bytes": None, "path": "a.jpg"}, "question": "a?", "answer": "yes"}]
    write_parquet(tmp_path / "r/train-00000-of-00001.parquet", rows)
    with pytest.raises(BadDataError, match=r"parquet\[0\], image: no image bytes in the row"):
        read(source("vqa-rad"), tmp_path / "r")


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in ("own", "sets")])
def test_a_folder_of_something_else_is_refused(name: str, tmp_path: Path) -> None:
    write_files(tmp_path / "release", {"a.txt": "nothing of it"})
    with pytest.raises(UsageError, match="is no release of .*: it has none of ") as caught:
        read(source(name), tmp_path / "release")
    assert caught.value.exit_code == 2


def test_an_unknown_source_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no source 'vqarad'; there are vqa-rad, slake"):
        source("vqarad")


def test_memory_does_not_grow_with_a_parquet_file(tmp_path: Path) -> None:
    """Pictures of 200 files' worth go by; a few rows' worth is held."""
    pictures = [held(n) for n in range(40)]
    rows = [
        {"image": pictures[n % 40], "question": f"is {n}?", "answer": "yes"} for n in range(640)
    ]
    total = sum(len(row["image"]["bytes"]) for row in rows)
    write_parquet(tmp_path / "r/train-00000-of-00001.parquet", rows, group=64)
    with open_release(tmp_path / "r", LimitsRecipe()) as release:
        cases = source("path-vqa").cases(release, SourceRecipe(name="path-vqa"), Counter())
        assert most_memory(cases, after=64) < total / 4


def test_memory_does_not_grow_with_a_json_file(tmp_path: Path) -> None:
    rows = [rad_row(n, image_name="synpic0.jpg") for n in range(8_000)]
    folder = write_files(tmp_path / "r", {"VQA_RAD Dataset Public.json": rows, "images/a.jpg": "a"})
    with open_release(folder, LimitsRecipe()) as release:
        cases = source("vqa-rad").cases(release, SourceRecipe(name="vqa-rad"), Counter())
        assert most_memory(cases, after=1000) < 7e6

    tracemalloc.start()
    whole = json.loads((folder / "VQA_RAD Dataset Public.json").read_bytes())
    assert len(whole) == 8_000 and tracemalloc.get_traced_memory()[1] > 14e6  # the plain way
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}', "not a JSON array"),
        (b'[{"a": 1}, {"a": ', r"a.json\[1\]: not a JSON object, or the file is cut short"),
        (b'[{"a": 1}, 3]', r"a.json\[1\]: not a JSON object"),
        (b'[{"a": "\xff"}]', "not UTF-8"),
        (b'[{"a": ' + b"[" * 100_000, r"a.json\[0\]: nested too deep"),
        (b"", "not a JSON array"),
    ],
)
def test_broken_json_is_refused_by_row(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with (
        open_release(tmp_path, LimitsRecipe()) as release,
        pytest.raises(BadDataError, match=message),
    ):
        list(json_rows(release, "a.json"))


def test_rows_longer_than_a_block_come_whole(tmp_path: Path) -> None:
    rows = [{"a": "é" * 1_500_000, "n": n} for n in range(3)]
    write_files(tmp_path, {"a.json": rows})
    with open_release(tmp_path, LimitsRecipe()) as release:
        assert [row for _, row in json_rows(release, "a.json")] == rows


def test_a_zip_of_pictures_inside_an_archive_asks_to_be_unpacked(tmp_path: Path) -> None:
    path = zipped(slake_hub(tmp_path / "release"), tmp_path / "release.zip")
    with pytest.raises(UsageError, match="an archive in an archive; unpack release.zip"):
        read(source("slake"), path)


def test_an_id_that_comes_again_is_told_apart(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "r", {"images/synpic0.jpg": picture(0)})
    rows = [rad_row(7, image_name="synpic0.jpg", question=f"is it {n}?") for n in range(3)]
    write_files(folder, {"VQA_RAD Dataset Public.json": rows})
    cases, _ = read(source("vqa-rad"), folder)
    assert [case.key for case in cases] == ["7", "7~2", "7~3"]


def test_damaged_parquet_never_ends_in_another_error(tmp_path: Path) -> None:
    rows = [{"image": held(n), "question": f"is it {n}?", "answer": "yes"} for n in range(5)]
    path = write_parquet(tmp_path / "train.parquet", rows)
    whole, refused = path.read_bytes(), 0
    for seed in range(150):
        draw = random.Random(seed)
        data = bytearray(whole)
        for _ in range(draw.choice([1, 2, 5])):
            data[draw.randrange(len(data) - 1500, len(data))] = draw.randrange(256)
        path.write_bytes(data)
        try:
            read(source("path-vqa"), path)
        except BadDataError:
            refused += 1
    assert 0 < refused < 150  # some damage is seen, and some falls where nothing is read


def test_broken_parquet_is_refused(tmp_path: Path) -> None:
    rows = [{"image": held(1), "question": "a?", "answer": "yes"}]
    path = write_parquet(tmp_path / "train.parquet", rows)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadDataError, match="train.parquet: no whole Parquet file"):
        read(source("path-vqa"), path)
    write_parquet(tmp_path / "test.parquet", [{"image": held(1), "words": "a?"}])
    with pytest.raises(BadDataError, match="no column question, answer; it has image, words"):
        read(source("path-vqa"), tmp_path / "test.parquet")
    with pytest.raises(UsageError, match="cannot tell the split of some.parquet"):
        read(source("path-vqa"), path.rename(tmp_path / "some.parquet"))
