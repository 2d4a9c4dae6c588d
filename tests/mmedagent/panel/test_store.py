import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmedagent.panel import store as module
from mmedagent.panel.store import OpinionStore, StoredReply


def replies(*numbers: int) -> dict[str, StoredReply]:
    return {f"{n:064x}": StoredReply("alder", f"reply {n} \0 ✓", None, n, 7, 0.5) for n in numbers}


def shards(folder: Path) -> list[Path]:
    return sorted((folder / "shards").glob("*.parquet"))


def test_what_was_added_is_found_by_a_second_process_s_store(tmp_path: Path) -> None:
    OpinionStore(tmp_path).add(replies(1, 2))
    again = OpinionStore(tmp_path)
    again.add(replies(2, 3))
    assert again.find(replies(1, 3, 4)) == replies(1, 3)
    assert len(again) == 3


def test_a_corrupt_shard_is_dropped_with_a_message_and_the_rest_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = OpinionStore(tmp_path)
    store.add(replies(1))
    first = shards(tmp_path)[0]
    store.add(replies(2))
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 1
    first.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert store.find(replies(1, 2)) == replies(2)
    assert first.name in caplog.text and "asked again" in caplog.text
    assert not first.exists()
    store.add(replies(1))
    assert store.find(replies(1, 2)) == replies(1, 2)


def test_a_shard_that_somebody_deleted_only_loses_its_own(tmp_path: Path) -> None:
    store = OpinionStore(tmp_path)
    store.add(replies(1))
    shards(tmp_path)[0].unlink()
    store.add(replies(2))
    assert store.find(replies(1, 2)) == replies(2)


@pytest.mark.parametrize("index", [b"not parquet", b"", None])
def test_the_index_is_rebuilt_when_it_is_broken_or_gone(
    tmp_path: Path, index: bytes | None
) -> None:
    OpinionStore(tmp_path).add(replies(1, 2))
    if index is None:
        (tmp_path / "index.parquet").unlink()
    else:
        (tmp_path / "index.parquet").write_bytes(index)
    assert OpinionStore(tmp_path).find(replies(1, 2)) == replies(1, 2)


def test_a_writer_that_died_before_its_index_loses_nothing(tmp_path: Path) -> None:
    store = OpinionStore(tmp_path)
    store.add(replies(1))
    before = (tmp_path / "index.parquet").read_bytes()
    store.add(replies(2))
    (tmp_path / "index.parquet").write_bytes(before)
    leftover = tmp_path / "shards" / ".x.parquet.1234.aside"
    leftover.write_bytes(b"half a shard")
    assert OpinionStore(tmp_path).find(replies(1, 2)) == replies(1, 2)
    assert not leftover.exists()


def test_many_small_shards_become_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SHARDS", 4)
    store = OpinionStore(tmp_path)
    for n in range(6):
        store.add(replies(n))
    assert len(shards(tmp_path)) == 2
    assert store.find(replies(*range(6))) == replies(*range(6))


def test_a_merge_that_died_before_its_index_leaves_no_reply_twice_or_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_SHARDS", 2)
    store = OpinionStore(tmp_path)
    store.add(replies(1))
    store.add(replies(2))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(OpinionStore, "_write_index", die)
    with pytest.raises(KeyboardInterrupt):
        store.add(replies(3))
    monkeypatch.undo()
    assert len(shards(tmp_path)) == 3
    assert OpinionStore(tmp_path).find(replies(1, 2, 3)) == replies(1, 2, 3)
    assert len(shards(tmp_path)) == 1


WRITER = """
import sys
from pathlib import Path
from tests.mmedagent.panel.test_store import replies
from mmedagent.panel.store import OpinionStore
store = OpinionStore(Path(sys.argv[1]))
first, count = int(sys.argv[2]), int(sys.argv[3])
for n in range(first, first + count):
    store.add(replies(n))
    print(n, flush=True)
"""


def writer(folder: Path, first: int, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), str(first), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())


def test_writers_side_by_side_lose_nothing(tmp_path: Path) -> None:
    writers = [writer(tmp_path, 100 * n, 20) for n in range(3)]
    assert [w.wait(60) for w in writers] == [0, 0, 0]
    wanted = replies(*(100 * n + i for n in range(3) for i in range(20)))
    assert OpinionStore(tmp_path).find(wanted) == wanted


@pytest.mark.parametrize("delay", [0.0, 0.003, 0.01])
def test_a_writer_killed_at_any_moment_leaves_a_whole_store(tmp_path: Path, delay: float) -> None:
    process = writer(tmp_path, 0, 100_000)
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(5)]
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    said += process.stdout.readlines()
    process.wait()
    promised = replies(*(int(line) for line in said if line.endswith("\n")))
    store = OpinionStore(tmp_path)
    assert store.find(promised) == promised
    store.add(replies(10**6))
    assert store.find(replies(10**6))


def test_fingerprints_are_kept_by_endpoint(tmp_path: Path) -> None:
    store = OpinionStore(tmp_path)
    assert store.fingerprint("http://a/v1 m") is None
    store.remember_fingerprint("http://a/v1 m", "fp")
    assert OpinionStore(tmp_path).fingerprint("http://a/v1 m") == "fp"
    store.remember_fingerprint("http://a/v1 m", None)
    assert store.fingerprint("http://a/v1 m") is None
    (tmp_path / "fingerprints.json").write_text("{")
    assert store.fingerprint("http://a/v1 m") is None
