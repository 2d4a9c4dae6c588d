"""A version is found in DVC's remote by the digest of its own manifest."""

from pathlib import Path

import pytest

from mmedagent.cases.ingest import ingest
from mmedagent.cases.store import write_cases
from mmedagent.digests import digest_folder
from mmedagent.errors import BadDataError, StorageError, UsageError
from mmedagent.storage.manifests import find_dvc_folder, reach_store, read_dvc_manifest
from mmedagent.storage.store import ObjectStore
from tests.mmedagent.cases.examples import data_set
from tests.mmedagent.cases.test_ingest import _push


def test_the_right_one_of_several_versions_is_found(
    object_store: ObjectStore, tmp_path: Path, small_folder: Path
) -> None:
    _push(object_store, small_folder)  # no data version: it has no manifest
    (small_folder / "manifest.json").write_text("not JSON")
    _push(object_store, small_folder)  # somebody else's manifest
    (small_folder / "manifest.json").write_text('{"digest": 7}')
    _push(object_store, small_folder)
    pushed = {}
    for each in (1, 2):
        manifest = write_cases(tmp_path / str(each), "set", data_set(each))
        pushed[manifest["digest"]] = (_push(object_store, tmp_path / str(each)), manifest)
    for digest, (md5, manifest) in pushed.items():
        assert find_dvc_folder(object_store, digest) == md5
        assert read_dvc_manifest(object_store, md5) == manifest
    facts = ingest(object_store, next(iter(pushed)), tmp_path / "out")
    assert digest_folder(tmp_path / "out") == digest_folder(tmp_path / "1")
    assert facts["data_version"] == next(iter(pushed.values()))[0]
    with pytest.raises(StorageError, match=r"0{64}.*5 folders were looked at.*dvc push"):
        find_dvc_folder(object_store, "0" * 64)
    with pytest.raises(BadDataError, match="0{64}"):
        ingest_tampered(object_store, tmp_path)


def ingest_tampered(store: ObjectStore, folder: Path) -> None:
    """A pushed folder whose manifest claims a digest that its files do not have."""
    write_cases(folder / "bad", "set", data_set(3))
    path = folder / "bad" / "manifest.json"
    digest = path.read_text().partition('"digest": "')[2][:64]
    path.write_text(path.read_text().replace(digest, "0" * 64))
    _push(store, folder / "bad")
    ingest(store, "0" * 64, folder / "never")


def test_a_folder_without_a_manifest_is_no_data_version(
    object_store: ObjectStore, small_folder: Path
) -> None:
    with pytest.raises(StorageError, match="has no manifest.json"):
        read_dvc_manifest(object_store, _push(object_store, small_folder))


def test_the_environments_store_is_taken_and_none_is_made_up(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MMEDAGENT_S3_BUCKET", raising=False)
    with pytest.raises(UsageError, match="no object store is configured"):
        reach_store(tmp_path)
    for variable, value in object_store.config.environment().items():
        monkeypatch.setenv(variable, value)
    assert reach_store(tmp_path).config.bucket == object_store.config.bucket
