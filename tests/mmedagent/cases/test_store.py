"""Data versions on disk."""

import io
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmedagent.atomic import write_json
from mmedagent.cases.case import Case
from mmedagent.cases.store import read_cases, read_manifest, write_cases
from mmedagent.digests import digest_folder, digest_value
from mmedagent.errors import BadDataError
from tests.mmedagent.cases.examples import data_set, example, row, write_rows

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


@settings(max_examples=25, deadline=None)
@given(
    question=_TEXT,
    options=st.lists(_TEXT, min_size=2, max_size=26, unique=True),
    images=st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=3).map(tuple),
    data=st.data(),
)
def test_any_case_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    question: str,
    options: list[str],
    images: tuple[bytes, ...],
    data: st.DataObject,
) -> None:
    case = example(0, question=question, options=tuple(options), images=images,
                   answer=data.draw(st.sampled_from(options)))  # fmt: skip
    folder = tmp_path_factory.mktemp("store") / "data"
    write_cases(folder, "one", [case])
    assert read_cases(folder) == [case]


def test_equal_cases_give_equal_bytes_in_any_order(tmp_path: Path) -> None:
    cases = data_set()
    write_cases(tmp_path / "one", "set", cases)
    random.Random(1).shuffle(cases)
    write_cases(tmp_path / "two", "set", cases)
    assert digest_folder(tmp_path / "one") == digest_folder(tmp_path / "two")


def test_datasets_reads_the_shards_with_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    cases = data_set()
    write_cases(tmp_path / "data", "set", cases)
    shards = [str(path) for path in sorted((tmp_path / "data" / "train").glob("*.parquet"))]
    loaded = datasets.Dataset.from_parquet(shards, cache_dir=str(tmp_path / "cache"))
    assert isinstance(loaded.features["images"].feature, datasets.Image)
    train = [case for case in cases if case.pool == "train"]
    assert loaded["case_id"][:] == [case.case_id for case in train]
    assert loaded["options"][0] == list(train[0].options)
    expected = Image.open(io.BytesIO(train[0].images[0])).convert("RGB").tobytes()
    assert loaded[0]["images"][0].convert("RGB").tobytes() == expected


def test_an_image_with_many_questions_is_stored_once(tmp_path: Path) -> None:
    image = example(0).images[0] * 200
    one = write_cases(tmp_path / "one", "set", [example(0, images=(image,))])
    many = [example(0, images=(image,), case_id=f"case-{n}") for n in range(50)]
    fifty = write_cases(tmp_path / "fifty", "set", many)
    sizes = [m["files"]["train/part-00000.parquet"]["bytes"] for m in (one, fifty)]
    assert sizes[1] < 1.5 * sizes[0]


def test_pools_can_be_read_alone(tmp_path: Path) -> None:
    write_cases(tmp_path / "data", "set", data_set())
    assert {case.pool for case in read_cases(tmp_path / "data", ["test"])} == {"test"}


def test_a_repeated_id_is_named_and_the_old_version_stands(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    write_cases(folder, "set", data_set())
    before = digest_folder(folder)
    with pytest.raises(BadDataError, match="'train-0' occurs twice"):
        write_cases(folder, "set", [example(0), example(0)])
    with pytest.raises(BadDataError, match="no cases"):
        write_cases(folder, "set", [])
    assert digest_folder(folder) == before


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete", "add", "manifest", "none"])
def test_a_damaged_version_is_refused(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "data"
    write_cases(folder, "set", data_set())
    shard = folder / "train" / "part-00000.parquet"
    content = shard.read_bytes()
    if damage == "flip":
        shard.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    elif damage == "truncate":
        shard.write_bytes(content[:-1])
    elif damage == "delete":
        shard.unlink()
    elif damage == "add":
        shutil.copy(shard, folder / "train" / "part-00001.parquet")
    elif damage == "manifest":
        (folder / "manifest.json").write_text('{"schema": 1, "files": {}, "digest": "x"}')
    else:
        (folder / "manifest.json").unlink()
    with pytest.raises(BadDataError, match="data"):
        read_cases(folder)


def test_a_manifest_cannot_name_files_outside_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    write_cases(folder, "set", data_set())
    files = read_manifest(folder)["files"]
    files["../outside.parquet"] = files.pop("train/part-00000.parquet")
    (folder / "train" / "part-00000.parquet").rename(tmp_path / "outside.parquet")
    manifest = {"schema": 1, "name": "set", "files": files, "digest": digest_value(files)}
    write_json(folder / "manifest.json", manifest)
    with pytest.raises(BadDataError, match="outside the folder"):
        read_manifest(folder)


def test_a_row_that_is_no_case_is_named(tmp_path: Path) -> None:
    write_rows(tmp_path / "data", "set", [row(example(0), answer="nothing")])
    with pytest.raises(BadDataError, match="'train-0'"):
        read_cases(tmp_path / "data")


def test_a_pool_cannot_leave_the_folder(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match="no pool"):
        write_rows(tmp_path / "data", "set", [row(example(0), pool="../train")])
    assert not (tmp_path / "data").exists()


def test_cases_keep_their_order(tmp_path: Path) -> None:
    cases: list[Case] = data_set()
    write_cases(tmp_path / "data", "set", cases)
    assert [case.case_id for case in read_cases(tmp_path / "data")] == [c.case_id for c in cases]
