import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mmedagent.background import free_ports
from mmedagent.digests import digest_file
from mmedagent.errors import StorageError, UsageError
from mmedagent.recipes.storage import StorageConfig
from mmedagent.storage.store import ObjectStore, open_store

PART = 5 * 2**20


def test_a_file_comes_back_whole_and_knows_its_digest(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"some bytes")
    digest = object_store.put_file(source, "a/b")
    assert digest == digest_file(source)
    info = object_store.head("a/b")
    assert info is not None and (info.size, info.sha256) == (10, digest)
    object_store.get_file("a/b", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"some bytes"
    assert list(object_store.list("a/")) == [("a/b", 10)]
    object_store.delete("a/b")
    assert not object_store.exists("a/b")


def test_a_large_file_goes_up_in_parts(object_store: ObjectStore, tmp_path: Path) -> None:
    store = ObjectStore(object_store.config.model_copy(update={"part_bytes": PART}))
    source = tmp_path / "large"
    source.write_bytes(os.urandom(2 * PART + 17))
    digest = store.put_file(source, "large")
    raw = store._client.head_object(Bucket=store.config.bucket, Key="large")
    assert raw["ETag"].strip('"').endswith("-3")  # S3 marks an object of three parts so
    store.get_file("large", tmp_path / "back", sha256=digest)
    assert digest_file(tmp_path / "back") == digest


def test_a_failed_upload_leaves_no_object_and_no_parts(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ObjectStore(object_store.config.model_copy(update={"part_bytes": PART}))
    source = tmp_path / "large"
    source.write_bytes(os.urandom(PART + 1))

    def stop(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store._client, "complete_multipart_upload", stop)
    with pytest.raises(KeyboardInterrupt):
        store.put_file(source, "large")
    assert not store.exists("large")
    left = store._client.list_multipart_uploads(Bucket=store.config.bucket)
    assert not left.get("Uploads")


def test_of_many_writers_exactly_one_wins(object_store: ObjectStore) -> None:
    writers = 4
    line = threading.Barrier(writers)

    def write(number: int) -> bool:
        store = ObjectStore(object_store.config)
        line.wait()
        return store.put_if_absent("once", f"writer {number}".encode())

    with ThreadPoolExecutor(writers) as pool:
        won = list(pool.map(write, range(writers)))
    assert won.count(True) == 1
    assert object_store.get_bytes("once") == f"writer {won.index(True)}".encode()


def test_an_object_that_was_changed_is_refused(object_store: ObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"as it was")
    digest = object_store.put_file(source, "key")
    object_store._client.put_object(
        Bucket=object_store.config.bucket, Key="key", Body=b"otherwise", Metadata={"sha256": digest}
    )
    target = tmp_path / "target"
    target.write_text("what stood there before")
    with pytest.raises(StorageError, match="corrupt object key"):
        object_store.get_file("key", target)
    assert target.read_text() == "what stood there before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


def test_an_object_without_a_digest_is_refused(object_store: ObjectStore) -> None:
    object_store._client.put_object(Bucket=object_store.config.bucket, Key="bare", Body=b"x")
    with pytest.raises(StorageError, match="carries no digest"):
        object_store.get_bytes("bare")


def test_a_wrong_secret_is_named(store_config: StorageConfig, tmp_path: Path) -> None:
    assert store_config.credentials is not None
    wrong = tmp_path / "credentials"
    wrong.write_text(
        store_config.credentials.read_text().replace("access_key = ", "access_key = x")
    )
    store = ObjectStore(store_config.model_copy(update={"credentials": wrong}))
    with pytest.raises(StorageError, match="secret key is wrong"):
        store.put_if_absent("key", b"")
    with pytest.raises(StorageError, match="wrong access or secret key"):
        store.exists("key")


def test_a_store_that_is_down_is_named(store_config: StorageConfig) -> None:
    endpoint = f"http://127.0.0.1:{free_ports(1)[0]}"
    store = ObjectStore(store_config.model_copy(update={"endpoint": endpoint, "attempts": 1}))
    with pytest.raises(StorageError, match="does not answer.*mmedagent store start"):
        store.exists("key")


def test_a_store_that_never_replies_is_given_up(store_config: StorageConfig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        store = ObjectStore(
            store_config.model_copy(
                update={
                    "endpoint": endpoint,
                    "attempts": 1,
                    "timeout_seconds": 0.3,
                    "read_seconds": 0.5,
                }
            )
        )
        with pytest.raises(StorageError, match="does not answer"):
            store.check()


def test_a_missing_bucket_is_an_error_and_a_missing_object_is_none(
    object_store: ObjectStore, store_config: StorageConfig
) -> None:
    assert object_store.head("nothing") is None
    with pytest.raises(StorageError, match="no such object"):
        object_store.get_bytes("nothing")
    elsewhere = ObjectStore(store_config.model_copy(update={"bucket": "no-such-bucket"}))
    with pytest.raises(StorageError, match="no such bucket"):
        elsewhere.head("nothing")
    with pytest.raises(StorageError, match="bucket does not exist"):
        elsewhere.put_if_absent("key", b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named_and_nothing_half_written_is_kept(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(100_000))
    object_store.put_file(source, "key")
    target.write_text("what stood there before")
    # The name that is written first leads to a disk without room.
    (tmp_path / f".target.{os.getpid()}.aside").symlink_to("/dev/full")
    with pytest.raises(StorageError, match="disk is full.*run the same command again"):
        object_store.get_file("key", target)
    assert target.read_text() == "what stood there before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


def test_the_environment_names_the_store(
    object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in object_store.config.environment().items():
        monkeypatch.setenv(name, value)
    assert open_store().put_if_absent("from-the-environment", b"")
    assert object_store.exists("from-the-environment")
    monkeypatch.delenv("MMEDAGENT_S3_BUCKET")
    with pytest.raises(UsageError, match="mmedagent store start"):
        open_store()


def test_a_damaged_credentials_file_is_named(store_config: StorageConfig, tmp_path: Path) -> None:
    damaged = tmp_path / "credentials"
    damaged.write_text("nonsense")
    with pytest.raises(StorageError, match="no AWS credentials file"):
        ObjectStore(store_config.model_copy(update={"credentials": damaged}))
    with pytest.raises(StorageError, match="cannot read"):
        ObjectStore(store_config.model_copy(update={"credentials": tmp_path / "absent"}))
