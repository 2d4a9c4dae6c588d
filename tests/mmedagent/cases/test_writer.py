"""A data version written in pieces is the one written at once."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmedagent.cases import writer
from mmedagent.cases.layout import row_of, to_arrow
from mmedagent.cases.store import iter_cases, read_cases, read_manifest
from mmedagent.cases.writer import VersionWriter
from mmedagent.digests import digest_folder
from mmedagent.errors import BadDataError
from tests.mmedagent.cases.examples import example, noise

CASES = [example(number, images=(noise(number), noise(50 + number))) for number in range(9)]
ROWS = [row_of(case) for case in CASES]


def _write(folder: Path, cuts: list[int]) -> str:
    places = sorted({0, *cuts, len(ROWS)})
    with VersionWriter(folder, "set") as version:
        for start, end in zip(places, places[1:], strict=False):
            version.add("train", to_arrow(ROWS[start:end]))
    return digest_folder(folder)


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 9)), shard=st.integers(1, 9), group=st.integers(1, 40_000))
def test_how_it_was_cut_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], shard: int, group: int
) -> None:
    folder = tmp_path_factory.mktemp("writer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "ROWS_PER_SHARD", shard)
        patch.setattr(writer, "BYTES_PER_GROUP", group)
        assert _write(folder / "one", cuts) == _write(folder / "two", [])
    files = read_manifest(folder / "one")["files"]
    assert [facts["rows"] for facts in files.values()][:-1] == [shard] * (len(files) - 1)
    assert read_cases(folder / "one") == CASES


def test_a_row_group_is_closed_at_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BYTES_PER_GROUP", 1)
    _write(tmp_path / "data", [])
    [name] = read_manifest(tmp_path / "data")["files"]
    assert pq.ParquetFile(tmp_path / "data" / name).num_row_groups == len(ROWS)


def test_several_images_open_answers_and_attributes_come_back(tmp_path: Path) -> None:
    case = example(0, images=(noise(1), noise(2, format="JPEG")), options=(), answer="a mass",
                   answer_type="open", attributes={"sex": "F", "language": "zh"})  # fmt: skip
    with VersionWriter(tmp_path / "data", "set") as version:
        version.add("train", to_arrow([row_of(case)]))
    assert list(iter_cases(tmp_path / "data")) == [case]


def test_an_extra_travels_and_is_verified(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with VersionWriter(folder, "set") as version:
        version.add("train", to_arrow(ROWS))
        version.extra("reviewed.yaml", b"reviews: []\n")
    with VersionWriter(tmp_path / "bare", "set") as bare:
        bare.add("train", to_arrow(ROWS))
    # The digest names the cases: a review changes none of them.
    assert read_manifest(folder)["digest"] == bare.manifest["digest"]
    (folder / "reviewed.yaml").write_bytes(b"reviews: [x]\n")
    with pytest.raises(BadDataError, match=r"reviewed\.yaml"):
        read_manifest(folder)


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    before = _write(folder, [])
    with pytest.raises(RuntimeError), VersionWriter(folder, "set") as version:
        version.add("train", to_arrow(ROWS[:2]))
        raise RuntimeError
    with pytest.raises(BadDataError, match="no cases"), VersionWriter(folder, "set"):
        pass
    assert digest_folder(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
