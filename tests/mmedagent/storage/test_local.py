import os
import signal
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from mmedagent.errors import StorageError
from mmedagent.storage.local import ensure_local_store, local_store_record, stop_local_store
from mmedagent.storage.store import ObjectStore


@pytest.fixture
def home(tmp_path: Path):
    yield tmp_path
    stop_local_store(tmp_path)


def test_the_store_is_started_once_and_survives_a_kill_with_its_data(home: Path) -> None:
    with ThreadPoolExecutor(2) as pool:  # two commands at the same time
        first, second = pool.map(ensure_local_store, [home, home])
    assert first == second
    record = local_store_record(home)
    assert record is not None
    ObjectStore(first).put_if_absent("kept", b"data")

    connections = psutil.Process(record.process.pid).connections("tcp4")
    listening = {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
    for name in ("credentials", "s3.json"):
        mode = (home / "runs" / "storage" / name).stat().st_mode
        assert stat.S_IMODE(mode) == 0o600

    with pytest.raises(StorageError, match="already runs on port"):
        ensure_local_store(home, port=1)
    os.kill(record.process.pid, signal.SIGKILL)
    os.waitpid(record.process.pid, 0)
    assert local_store_record(home) is None
    with socket.create_server(("127.0.0.1", record.ports["s3"])):  # its port is taken meanwhile
        again = ensure_local_store(home)
    assert again.endpoint != first.endpoint
    assert ObjectStore(again).get_bytes("kept") == b"data"
    assert stop_local_store(home) and not stop_local_store(home)


def test_a_port_in_use_is_named(home: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(StorageError, match="is in use by another program.*--port"),
    ):
        ensure_local_store(home, port=taken.getsockname()[1])
    assert local_store_record(home) is None


def test_a_server_that_cannot_start_shows_its_log(home: Path) -> None:
    data = home / "runs" / "storage" / "data"
    data.mkdir(parents=True)
    (data / "filerldb2").write_text("a file where the server wants a folder")
    with pytest.raises(StorageError, match="the end of .*server.log"):
        ensure_local_store(home)


def test_a_damaged_record_is_named(home: Path) -> None:
    folder = home / "runs" / "storage"
    folder.mkdir(parents=True)
    (folder / "server.json").write_text("{")
    with pytest.raises(StorageError, match="is damaged"):
        ensure_local_store(home)
    (folder / "server.json").unlink()
