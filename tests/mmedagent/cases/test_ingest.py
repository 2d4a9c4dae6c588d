"""A data version comes back from DVC's remote whole, or not at all."""

import hashlib
import json
from pathlib import Path

import pytest

from mmedagent.cases.ingest import ingest
from mmedagent.cases.store import read_cases, write_cases
from mmedagent.digests import canonical_json, digest_folder
from mmedagent.errors import BadDataError, StorageError
from mmedagent.storage.store import ObjectStore
from tests.mmedagent.cases.examples import data_set


def _push(store: ObjectStore, folder: Path) -> str:
    """Lay a folder out as `dvc push` does, and return its version."""
    root = f"{store.config.dvc_prefix}/files/md5"
    entries = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        store.put_file(path, f"{root}/{md5[:2]}/{md5[2:]}")
        entries.append({"md5": md5, "relpath": path.relative_to(folder).as_posix()})
    listing = canonical_json(entries)
    version = hashlib.md5(listing).hexdigest()
    list_file = folder.parent / "listing"
    list_file.write_bytes(listing)
    store.put_file(list_file, f"{root}/{version[:2]}/{version[2:]}.dir")
    return version


@pytest.mark.parametrize("suffix", ["", ".dir"])
def test_a_version_comes_back_whole(object_store: ObjectStore, tmp_path: Path, suffix: str) -> None:
    manifest = write_cases(tmp_path / "data", "set", data_set())
    version = _push(object_store, tmp_path / "data")
    out = tmp_path / "step" / "out"
    facts = ingest(object_store, version + suffix, out)
    assert read_cases(out) == read_cases(tmp_path / "data")
    assert digest_folder(out) == digest_folder(tmp_path / "data")
    assert facts["digest"] == manifest["digest"] and facts["data_version"] == version
    assert facts["rows"] == dict.fromkeys(("panel", "warm_start", "train", "validation", "test"), 4)
    assert list(out.parent.iterdir()) == [out]


def test_what_is_no_data_version_is_refused_and_the_old_one_stands(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    write_cases(tmp_path / "out", "set", data_set())
    before = digest_folder(tmp_path / "out")
    write_cases(tmp_path / "data", "set", data_set(2))
    manifest = tmp_path / "data" / "manifest.json"
    changed = json.loads(manifest.read_text())
    changed["files"]["train/part-00000.parquet"]["sha256"] = "0" * 64
    manifest.write_text(json.dumps(changed))
    version = _push(object_store, tmp_path / "data")
    with pytest.raises(BadDataError, match=f"data version {version}"):
        ingest(object_store, version, tmp_path / "out")
    with pytest.raises(StorageError):
        ingest(object_store, "0" * 32, tmp_path / "out")
    assert digest_folder(tmp_path / "out") == before
    assert {path.name for path in tmp_path.iterdir()} == {"out", "data", "listing"}
