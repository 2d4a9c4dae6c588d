"""A release's digest, and its way into the repository."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmedagent.cases.sets import arrival
from mmedagent.cases.sets.arrival import place_release, release_digest
from mmedagent.digests import digest_file, digest_folder
from mmedagent.errors import BadDataError, UsageError


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    (root / ".gitignore").write_text("/data/*\n!/data/sets/\n")
    return root


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere" / "Export Müller 1961"
    (folder / "images").mkdir(parents=True)
    (folder / "cases.csv").write_text("a,b\n1,2\n")
    (folder / "images" / "1.png").write_bytes(b"picture")
    return folder


def test_the_digest_is_the_one_that_an_ingest_verifies(release: Path) -> None:
    seen: list[tuple[int, int]] = []
    assert release_digest(release, lambda *d: seen.append(d)) == digest_folder(release)
    assert seen[-1] == (15, 15)
    assert release_digest(release / "cases.csv") == digest_file(release / "cases.csv")


def test_a_release_from_elsewhere_is_linked_under_its_digest(
    repository: Path, release: Path
) -> None:
    digest = release_digest(release)
    place = place_release(repository, release, digest, keep_name=False)
    assert place == f"data/releases/{digest[:12]}/release"
    assert digest_folder(repository / place) == digest
    assert (repository / place / "cases.csv").stat().st_ino == (release / "cases.csv").stat().st_ino
    assert place_release(repository, release, digest, keep_name=False) == place


def test_an_older_release_stays(repository: Path, release: Path) -> None:
    first = place_release(repository, release, release_digest(release), keep_name=False)
    before = release_digest(repository / first)
    (release / "cases.csv").unlink()  # a new export replaces files; it does not write into them
    (release / "cases.csv").write_text("a,b\n3,4\n")
    second = place_release(repository, release, release_digest(release), keep_name=False)
    assert second != first and release_digest(repository / first) == before


def test_a_files_name_is_kept_only_where_it_speaks(repository: Path, release: Path) -> None:
    archive = release.parent / "Müller.tar.gz"
    archive.write_bytes(b"x")
    kept = place_release(repository, archive, "a" * 64, keep_name=True)
    neutral = place_release(repository, archive, "b" * 64, keep_name=False)
    assert kept.endswith("/Müller.tar.gz") and neutral.endswith("/release.tar.gz")


def test_a_release_inside_stays_where_it_is(repository: Path) -> None:
    inside = repository / "data" / "mine" / "cases.csv"
    inside.parent.mkdir(parents=True)
    inside.write_text("a\n")
    assert place_release(repository, inside, "c" * 64, keep_name=False) == "data/mine/cases.csv"
    assert not (repository / "data/releases").exists()


def test_git_must_not_take_a_release(repository: Path, release: Path) -> None:
    bad = repository / "exports"
    release.rename(bad)
    with pytest.raises(UsageError, match="Git does not ignore exports.*Move it below"):
        place_release(repository, bad, "d" * 64, keep_name=False)
    with pytest.raises(UsageError, match="the repository itself"):
        place_release(repository, repository, "d" * 64, keep_name=False)


def test_links_are_refused_without_their_names(release: Path) -> None:
    (release / "images" / "Roe.png").symlink_to("/etc/hostname")
    with pytest.raises(BadDataError, match="entry 4 .sorted. is a symbolic link") as caught:
        release_digest(release)
    assert "Roe" not in str(caught.value)


def test_a_release_that_was_changed_in_its_place_is_brought_again(
    repository: Path, release: Path
) -> None:
    digest = release_digest(release)
    place = place_release(repository, release, digest, keep_name=False)
    changed = repository / place / "cases.csv"
    changed.unlink()
    changed.write_text("other\n")
    assert place_release(repository, release, digest, keep_name=False) == place
    assert release_digest(repository / place) == digest


def test_where_nothing_can_be_linked_it_is_copied(
    repository: Path, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_paths: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    seen: list[tuple[int, int]] = []
    digest = release_digest(release)
    place = place_release(
        repository, release, digest, keep_name=False, done=lambda *d: seen.append(d)
    )
    assert release_digest(repository / place) == digest and seen[-1] == (15, 15)
    assert (repository / place / "cases.csv").stat().st_nlink == 1


def test_what_is_missing_or_empty_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is missing"):
        release_digest(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="empty folder"):
        release_digest(tmp_path / "empty")


def test_a_copy_that_does_not_fit_is_refused(
    repository: Path, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrival, "_SPARE", 1 << 62)
    assert place_release(repository, release, "e" * 64, keep_name=False)  # linked: no room needed
    real = Path.stat

    def other_device(self: Path, **options: bool) -> os.stat_result | SimpleNamespace:
        found = real(self, **options)
        if self != release:
            return found
        names = [name for name in dir(found) if name.startswith("st_")]
        facts = {name: getattr(found, name) for name in names}
        return SimpleNamespace(**facts | {"st_dev": -1})

    monkeypatch.setattr(Path, "stat", other_device)
    with pytest.raises(UsageError, match="GiB free"):
        place_release(repository, release, "f" * 64, keep_name=False)
    monkeypatch.undo()
    assert not (repository / "data/releases" / ("f" * 12)).exists()
