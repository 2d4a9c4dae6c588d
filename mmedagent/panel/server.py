"""Starting and ending the laptop's panel server; the server itself is `mmedagent.panel.host`."""

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mmedagent.errors import PanelError

_MODULE = "mmedagent.panel.host"
_START_SECONDS = 180.0
"""For importing torch and loading three tiny models, on a machine that is busy with other work."""
_END_SECONDS = 5.0


@dataclass(frozen=True)
class ServedPanel:
    """A panel server that is ready."""

    url: str
    """The base of its OpenAI API, such as `http://127.0.0.1:41234/v1`."""
    digests: dict[str, str]
    """The weights digest of each specialist that it serves, by name."""
    pid: int


@contextmanager
def serve_panel(folder: Path) -> Iterator[ServedPanel]:
    """Serve the specialists of a panel folder on loopback while the block runs.

    The server is a process of its own, on a free port that the kernel chooses. It ends with the
    block, and also when this process is killed, because then its standard input closes.

    Raises `PanelError`, with the server's last words, when it does not come up.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", _MODULE, str(folder), "--end-with-parent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
        )
        try:
            ready = _wait_until_ready(process)
            if ready is None:
                log.seek(0)
                words = log.read()[-2000:].decode(errors="replace").strip()
                raise PanelError(f"the panel server for {folder} did not start: {words}")
            yield ready
        finally:
            _end(process)


def _wait_until_ready(process: subprocess.Popen[bytes]) -> ServedPanel | None:
    """Return what the server's first line says, or None when it ended or took too long."""
    assert process.stdout is not None
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 1.0)[0]:
            line = process.stdout.readline()
            if not line:
                return None
            said = json.loads(line)
            return ServedPanel(said["url"], said["digests"], process.pid)
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
