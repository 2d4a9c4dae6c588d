import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmedagent import atomic
from mmedagent.digests import digest_folder

KILLED_WHILE_WRITING = """
import sys, time
from pathlib import Path
from mmedagent import atomic
with atomic.new_folder(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_a_failed_write_leaves_the_old_folder(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with atomic.new_folder(target) as folder:
        (folder / "weights").write_text("old")
    before = digest_folder(target)
    with pytest.raises(OSError, match="disk"), atomic.new_folder(target) as folder:
        (folder / "weights").write_text("new")
        raise OSError("disk full")
    assert digest_folder(target) == before
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for name in ("first", "second"):
        with atomic.new_folder(target) as folder:
            (folder / name).write_text(name)
    assert [p.name for p in target.iterdir()] == ["second"]


def test_a_killed_writer_publishes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "model"
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED_WHILE_WRITING, str(target)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None and writer.stdout.readline() == "writing\n"
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait(timeout=10)
    time.sleep(0.05)
    assert not target.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "verdict.json"
    atomic.write_json(target, {"verdict": "pass"})
    opened = Path.open

    def on_a_full_disk(self: Path, *args: str, **kwargs: str) -> object:
        return opened(Path("/dev/full") if self.suffix == ".aside" else self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", on_a_full_disk)
    with pytest.raises(OSError, match="No space left"):
        atomic.write_json(target, {"verdict": "fail"})
    monkeypatch.undo()
    assert "pass" in target.read_text()


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        atomic.write_json(tmp_path / "metrics.json", {"accuracy": float("nan")})
    assert not list(tmp_path.iterdir())
