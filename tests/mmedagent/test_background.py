import socket
import sys
import time
from pathlib import Path

from mmedagent import background

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("ready", flush=True)
time.sleep(60)
"""


def test_a_server_is_known_by_its_start_time_too(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
    process = background.start(command, tmp_path / "log")
    reused = process.model_copy(update={"started": process.started - 100})
    assert background.is_running(process) and not background.is_running(reused)
    assert not background.stop(reused)  # another program's number: not ours to stop
    assert background.is_running(process)
    assert background.stop(process) and not background.is_running(process)
    assert not background.stop(process)


def test_one_that_ignores_the_signal_is_ended_with_its_children(tmp_path: Path) -> None:
    import psutil

    process = background.start([sys.executable, "-c", STUBBORN], tmp_path / "log")
    until = time.monotonic() + 30
    while "ready" not in background.log_tail(process.log) and time.monotonic() < until:
        time.sleep(0.05)
    (child,) = psutil.Process(process.pid).children()
    assert background.stop(process, grace_seconds=0.2)
    assert not background.is_running(process) and not child.is_running()


def test_ports() -> None:
    ports = background.free_ports(5)
    assert len(set(ports)) == 5
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert not background.port_is_free(taken.getsockname()[1])
    assert background.port_is_free(ports[0])
