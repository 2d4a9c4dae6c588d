"""`NAME@REVISION` finds the version that was pinned there; a run refuses a tree that differs."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mmedagent.cases.sets import working
from mmedagent.cases.sets.lock import folder_md5, read_lock
from mmedagent.cases.sets.revisions import (
    Revision,
    find,
    in_cache,
    manifest_of,
    open_version,
    parse,
)
from mmedagent.cases.sets.working import checked_data, pinned_data
from mmedagent.cases.store import read_cases, write_cases
from mmedagent.errors import BadDataError, UsageError
from tests.mmedagent.cases.examples import data_set
from tests.mmedagent.cases.sets.repository import commit, git


def pin(root: Path, **versions: str) -> None:
    """Write a `dvc.lock` that pins `data/NAME` at an md5."""
    stages = {
        name: {"cmd": "make", "outs": [{"path": f"data/{name}", "md5": f"{md5}.dir"}]}
        for name, md5 in versions.items()
    }
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


def cache(root: Path, name: str) -> None:
    """Put `data/NAME` into DVC's cache as `dvc commit` does."""
    folder, entries = root / "data" / name, []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        entries.append({"md5": md5, "relpath": path.relative_to(folder).as_posix()})
        place = root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    listing = json.dumps(sorted(entries, key=lambda e: e["relpath"]), sort_keys=True).encode()
    md5 = hashlib.md5(listing).hexdigest()
    place = root / ".dvc/cache/files/md5" / md5[:2] / f"{md5[2:]}.dir"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(listing)
    assert md5 == folder_md5(folder)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The set `vqa` at tag v1 with four cases a pool, then with two; both are in the cache."""
    for variable in [name for name in os.environ if name.startswith("MMEDAGENT")]:
        monkeypatch.delenv(variable)
    root = tmp_path / "root"
    root.mkdir()
    git(root, "init", "--quiet")
    (root / ".gitignore").write_text("/data/*\n/.dvc/\n/.cache/\n")
    for each, tag in ((4, "v1"), (2, "v2")):
        write_cases(root / "data/vqa", "vqa", data_set(each))
        cache(root, "vqa")
        pin(root, vqa=folder_md5(root / "data/vqa"))
        commit(root, tag)
        git(root, "tag", tag)
    monkeypatch.chdir(root)
    return root


def test_a_revision_is_what_was_pinned_there(root: Path) -> None:
    old, new = (read_lock(root, tag)["data/vqa"].md5 for tag in ("v1", "v2"))
    assert old != new
    assert find(root, "vqa") == Revision("vqa", None, new)
    assert find(root, "vqa@HEAD").version == new
    assert find(root, "vqa@HEAD~1").version == find(root, "vqa@v1").version == old
    assert find(root, f"vqa@{old}") == Revision("vqa", old, old)
    assert find(root, old) == Revision(None, old, old)
    assert find(root, "a" * 64).by_manifest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vqa@v3", "'v3' is no revision"),
        ("vqa@--all", "'--all' is no revision"),
        ("rad", r"dvc\.lock pins no version of the data set 'rad'; it has vqa"),
        ("rad@v1", r"dvc\.lock of v1 pins no version"),
        ("vqa@", "names no data version"),
        ("../vqa", "names no data version"),
        ("VQA@v1", "names no data version"),
    ],
)
def test_what_names_no_version_is_refused(root: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find(root, text)


@given(st.text(max_size=80))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        name, revision = parse(text)
    except UsageError:
        return
    assert name or revision
    assert name is None or (text == name or text == f"{name}@{revision}")


def test_older_versions_come_from_the_cache_whole(root: Path) -> None:
    assert len(read_cases(open_version(root, "vqa@v1"))) == 20
    assert len(read_cases(open_version(root, "vqa"))) == 10
    assert open_version(root, str(root / "data/vqa")) == root / "data/vqa"
    md5 = find(root, "vqa@v1").version
    assert open_version(root, md5) == root / ".cache/versions" / md5
    with pytest.raises(UsageError, match="no data version"):
        open_version(root, str(root / "data"))


def test_a_damaged_cache_is_noticed(root: Path) -> None:
    md5 = find(root, "vqa@v1").version
    listing = root / ".dvc/cache/files/md5" / md5[:2] / f"{md5[2:]}.dir"
    one = json.loads(listing.read_bytes())[0]["md5"]
    (root / ".dvc/cache/files/md5" / one[:2] / one[2:]).write_bytes(b"other")
    with pytest.raises(BadDataError, match="damaged file"):
        open_version(root, "vqa@v1")
    assert not (root / ".cache/versions" / md5).exists()
    listing.write_bytes(b"[]")
    assert not in_cache(root, md5)


def test_the_manifest_is_had_without_the_cases(root: Path) -> None:
    old = find(root, "vqa@v1").version
    digest = manifest_of(root, "vqa", old)["digest"]
    assert not (root / ".cache").exists()
    assert digest != json.loads((root / "data/vqa/manifest.json").read_bytes())["digest"]


def test_a_tree_that_has_the_version_passes(root: Path) -> None:
    for text in ("vqa", "vqa@v2", "vqa@HEAD", f"vqa@{find(root, 'vqa').version}"):
        assert checked_data(root, text).md5 == find(root, "vqa").version
    digest = manifest_of(root, "vqa", find(root, "vqa").version)["digest"]
    assert checked_data(root, f"vqa@{digest}").revision == digest


def test_a_tree_without_the_data_passes_because_the_run_fetches_it(root: Path) -> None:
    shutil.rmtree(root / "data/vqa")
    assert checked_data(root, "vqa@v2").name == "vqa"


def test_a_tree_at_another_revision_is_refused_with_the_mend(root: Path) -> None:
    with pytest.raises(UsageError, match=r"pins vqa at .*git checkout v1 -- dvc\.lock") as caught:
        checked_data(root, "vqa@v1")
    assert caught.value.exit_code == 2
    git(root, "checkout", "v1", "--", "dvc.lock")
    with pytest.raises(BadDataError, match=r"data/vqa is not the version.*`dvc checkout vqa`"):
        checked_data(root, "vqa@v1")
    old = manifest_of(root, "vqa", find(root, "vqa").version)["digest"]
    git(root, "checkout", "v2", "--", "dvc.lock")
    with pytest.raises(UsageError, match="run on what is here"):
        checked_data(root, f"vqa@{old}")


def test_edited_files_are_refused_with_the_mend(root: Path) -> None:
    checked_data(root, "vqa")  # remembers sizes and times
    write_cases(root / "data/vqa", "vqa", data_set(3))
    with pytest.raises(BadDataError, match="dvc commit") as caught:
        checked_data(root, "vqa")
    assert caught.value.exit_code == 13
    assert pinned_data(root, "vqa").name == "vqa"  # a compiled plan does not look at files


def test_files_that_stand_are_read_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked_data(root, "vqa")

    def unread(folder: Path) -> str:
        raise AssertionError("read again")

    monkeypatch.setattr(working, "folder_md5", unread)
    checked_data(root, "vqa")
    os.utime(root / "data/vqa/manifest.json", (1, 1))
    with pytest.raises(AssertionError, match="read again"):
        checked_data(root, "vqa")


def test_a_bare_digest_does_not_say_which_set(root: Path) -> None:
    with pytest.raises(UsageError, match="say which set it is"):
        checked_data(root, "a" * 32)
