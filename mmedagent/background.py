"""Servers that outlive the command that started them: start, recognise and stop one."""

import errno
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

LOOPBACK = "127.0.0.1"


class Background(BaseModel):
    """Which process it is: the number alone may be reused, so its start time counts too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pid: int
    started: float
    """Seconds since the epoch, as the kernel tells it."""
    log: Path


def start(
    argv: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Background:
    """Start `argv` in a session of its own, with both outputs appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
    return Background(pid=process.pid, started=psutil.Process(process.pid).create_time(), log=log)


def is_running(process: Background) -> bool:
    """Tell whether that very process still runs (a zombie does not)."""
    return _found(process) is not None


def stop(process: Background, grace_seconds: float = 15.0) -> bool:
    """Ask the process to end, insist after `grace_seconds`; tell whether it was running."""
    found = _found(process)
    if found is None:
        return False
    children = found.children(recursive=True)
    found.send_signal(signal.SIGTERM)
    _, left = psutil.wait_procs([found], timeout=grace_seconds)
    for survivor in [*left, *[child for child in children if child.is_running()]]:
        try:
            survivor.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs([found, *children], timeout=5)
    return True


def log_tail(log: Path, lines: int = 15) -> str:
    """Return the end of a server's log, for the message that says it did not start."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def port_is_free(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether a server could listen on `port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def free_ports(count: int, host: str = LOOPBACK) -> list[int]:
    """Return `count` different ports that nothing listens on at this moment."""
    probes = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((host, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def wait_until_gone(process: Background, seconds: float) -> bool:
    """Wait for the process to end; tell whether it did."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not is_running(process):
            return True
        time.sleep(0.1)
    return not is_running(process)


def _found(process: Background) -> psutil.Process | None:
    try:
        found = psutil.Process(process.pid)
        if abs(found.create_time() - process.started) > 1.0:
            return None
        if found.status() == psutil.STATUS_ZOMBIE:
            found.wait(timeout=0)  # reap our own child; another's is its parent's
            return None
        return found
    except (psutil.NoSuchProcess, psutil.TimeoutExpired):
        return None
