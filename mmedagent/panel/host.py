"""`python -m mmedagent.panel.host models/panel`: the laptop's panel on loopback, in one process.

The folder and the port are checked before torch is imported, so that a mistake is told at once.
"""

import argparse
import json
import os
import socket
import sys
import threading
from pathlib import Path

from mmedagent.errors import MMedAgentError, PanelError
from mmedagent.panel.folder import PanelFolder, read_panel_folder


def main() -> int:
    """Serve a panel folder until the process is told to end; the first line out says where."""
    parser = argparse.ArgumentParser(description="Serve the laptop's panel on loopback.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0, help="0 (the default): any free port")
    parser.add_argument("--end-with-parent", action="store_true", help="end when stdin closes")
    arguments = parser.parse_args()
    if arguments.end_with_parent:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        panel = read_panel_folder(arguments.folder)
        _serve(panel, _listen(arguments.port))
    except MMedAgentError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    return 0


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port), backlog=1024)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise PanelError(f"cannot listen on 127.0.0.1:{port}: {reason}") from None


def _serve(panel: PanelFolder, listener: socket.socket) -> None:
    import torch
    import uvicorn

    from mmedagent.panel.app import build_app

    torch.set_num_threads(1)
    app = build_app(panel)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    print(json.dumps({"url": url, "digests": panel.digests}), flush=True)
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    uvicorn.Server(config).run(sockets=[listener])


def _end_with_parent() -> None:
    # The parent holds the other end of our standard input: it closes when the parent dies.
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
