import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmedagent.digests import digest_folder
from mmedagent.errors import StorageError
from mmedagent.storage import versions
from mmedagent.storage.dvc_remote import set_dvc_remote
from mmedagent.storage.store import ObjectStore
from mmedagent.storage.versions import fetch_folder, fetch_folder_version, put_folder_version


def test_a_folder_comes_back_under_its_digest(
    object_store: ObjectStore, small_folder: Path, tmp_path: Path
) -> None:
    digest = put_folder_version(object_store, small_folder)
    assert digest == digest_folder(small_folder)
    back = fetch_folder_version(object_store, digest, tmp_path / "back")
    assert digest_folder(back) == digest
    assert put_folder_version(object_store, small_folder) == digest


def test_skipped_files_are_no_part_of_the_version(
    object_store: ObjectStore, small_folder: Path, tmp_path: Path
) -> None:
    digest = put_folder_version(object_store, small_folder, skip={"one.txt"})
    (small_folder / "one.txt").unlink()
    assert digest == digest_folder(small_folder)


def test_a_whole_folder_is_not_fetched_again_and_a_damaged_one_is(
    object_store: ObjectStore, small_folder: Path, tmp_path: Path
) -> None:
    digest = put_folder_version(object_store, small_folder)
    into = tmp_path / "into"
    fetch_folder_version(object_store, digest, into)
    down = ObjectStore(
        object_store.config.model_copy(update={"endpoint": "http://127.0.0.1:9", "attempts": 1})
    )
    assert fetch_folder_version(down, digest, into) == into
    (into / "one.txt").write_text("tampered with")
    with pytest.raises(StorageError, match="does not answer"):
        fetch_folder_version(down, digest, into)
    fetch_folder_version(object_store, digest, into)
    assert (into / "one.txt").read_text() == "one\n"


DIE_BEFORE_THE_MANIFEST = """
import os, sys
from pathlib import Path
from mmedagent.recipes.storage import StorageConfig
from mmedagent.storage.store import ObjectStore
from mmedagent.storage.versions import put_folder_version

store = ObjectStore(StorageConfig.model_validate_json(sys.argv[1]))
store.put_if_absent = lambda *_: os.kill(os.getpid(), 9)
put_folder_version(store, Path(sys.argv[2]))
"""


def test_a_kill_between_files_and_manifest_leaves_no_version(
    object_store: ObjectStore, small_folder: Path, tmp_path: Path
) -> None:
    digest = digest_folder(small_folder)
    config = object_store.config.model_dump_json()
    child = [sys.executable, "-c", DIE_BEFORE_THE_MANIFEST, config, str(small_folder)]
    assert subprocess.run(child, timeout=60).returncode == -9
    assert len(list(object_store.list(f"versions/{digest}/files/"))) == 3
    with pytest.raises(StorageError, match="never uploaded whole"):
        fetch_folder_version(object_store, digest, tmp_path / "back")
    assert not (tmp_path / "back").exists()
    assert put_folder_version(object_store, small_folder) == digest
    fetch_folder_version(object_store, digest, tmp_path / "back")


def test_a_corrupt_file_of_a_version_is_refused_and_nothing_is_kept(
    object_store: ObjectStore, small_folder: Path, tmp_path: Path
) -> None:
    digest = put_folder_version(object_store, small_folder)
    object_store._client.put_object(
        Bucket=object_store.config.bucket, Key=f"versions/{digest}/files/one.txt", Body=b"two\n"
    )
    with pytest.raises(StorageError, match="corrupt object.*one.txt"):
        fetch_folder_version(object_store, digest, tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_a_manifest_that_leaves_its_folder_is_refused(
    object_store: ObjectStore, tmp_path: Path, name: str
) -> None:
    from mmedagent.digests import canonical_json, digest_value

    files = {name: "0" * 64}
    manifest = versions.Manifest(digest=digest_value(files), files=files)
    object_store.put_if_absent(
        f"versions/{manifest.digest}/manifest.json", canonical_json(manifest.model_dump())
    )
    with pytest.raises(StorageError, match="outside its folder"):
        fetch_folder_version(object_store, manifest.digest, tmp_path / "deep" / "back")
    assert not (tmp_path / "evil").exists()


def test_an_exchanged_manifest_is_refused(
    object_store: ObjectStore, small_folder: Path, tmp_path: Path
) -> None:
    digest = put_folder_version(object_store, small_folder)
    manifest = object_store.get_bytes(f"versions/{digest}/manifest.json")
    other = json.loads(manifest)
    other["files"]["one.txt"] = "0" * 64
    object_store._client.put_object(
        Bucket=object_store.config.bucket,
        Key=f"versions/{digest}/manifest.json",
        Body=json.dumps(other).encode(),
    )
    with pytest.raises(StorageError):
        fetch_folder_version(object_store, digest, tmp_path / "back")


def test_empty_and_linked_folders_are_refused(object_store: ObjectStore, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(StorageError, match="has no files"):
        put_folder_version(object_store, empty)
    (empty / "link").symlink_to("/etc/passwd")
    with pytest.raises(StorageError, match="is a link"):
        put_folder_version(object_store, empty)


@pytest.mark.parametrize("wrong", ["", "not-an-md5", "0" * 31, "0" * 33 + ".dir"])
def test_what_is_no_dvc_version_is_refused(
    object_store: ObjectStore, tmp_path: Path, wrong: str
) -> None:
    with pytest.raises(StorageError, match=r"take the md5 that ends in \.dir"):
        fetch_folder(object_store, wrong, tmp_path / "back")


def test_what_dvc_pushes_is_fetched_and_verified(
    object_store: ObjectStore, small_folder: Path, tmp_path: Path
) -> None:
    """Real DVC, real server: push a folder, fetch it by md5, and see damage found."""
    repo = tmp_path / "repo"
    repo.mkdir()
    small_folder.rename(repo / "data")
    _dvc(repo, "init", "--no-scm", "-q")
    set_dvc_remote(repo, object_store.config)
    _dvc(repo, "add", "-q", "data")
    _dvc(repo, "push", "-q")
    version = next(
        line.split()[-1] for line in (repo / "data.dvc").read_text().splitlines() if "md5:" in line
    )
    assert version.endswith(".dir")

    into = fetch_folder(object_store, version, tmp_path / "into")
    assert digest_folder(into) == digest_folder(repo / "data")
    down = ObjectStore(
        object_store.config.model_copy(update={"endpoint": "http://127.0.0.1:9", "attempts": 1})
    )
    assert fetch_folder(down, version.removesuffix(".dir"), into) == into  # whole: nothing asked
    (into / "one.txt").write_text("tampered with")
    fetch_folder(object_store, version, into)
    assert (into / "one.txt").read_text() == "one\n"

    key = next(key for key, size in object_store.list("dvc/files/md5/") if size == 4)
    object_store._client.put_object(Bucket=object_store.config.bucket, Key=key, Body=b"two\n")
    with pytest.raises(StorageError, match="corrupt object.*md5.*dvc push"):
        fetch_folder(object_store, version, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_remote_is_set_beside_other_settings(object_store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="dvc init"):
        set_dvc_remote(tmp_path, object_store.config)
    (tmp_path / ".dvc").mkdir()
    local = tmp_path / ".dvc" / "config.local"
    local.write_text("[cache]\n    type = hardlink\n")
    set_dvc_remote(tmp_path, object_store.config)
    text = local.read_text()
    assert "type = hardlink" in text and f"s3://{object_store.config.bucket}/dvc" in text
    assert str(object_store.config.credentials) in text
    assert "secret" not in text.lower()


def _dvc(repo: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "dvc", *arguments]
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(command, cwd=repo, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
