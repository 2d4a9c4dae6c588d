"""An endpoint on a real socket that misbehaves as told."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Reply = tuple[int, str, bytes]
"""Status, content type, body."""


def completion(text: object, fingerprint: str | None = None) -> Reply:
    body = {"choices": [{"message": {"content": text}}], "system_fingerprint": fingerprint}
    return 200, "application/json", json.dumps(body).encode()


class Faulty:
    def __init__(self, answer: Callable[[int], Reply], seconds: float, drip: float) -> None:
        self.requests = 0
        self.answer, self.seconds, self.drip = answer, seconds, drip
        self.lock = threading.Lock()
        self.url = ""


@contextmanager
def endpoint(
    answer: Callable[[int], Reply], seconds: float = 0.0, drip: float = 0.0
) -> Iterator[Faulty]:
    """Serve `answer(number of the request)`, `seconds` late, a byte each `drip` seconds."""
    faulty = Faulty(answer, seconds, drip)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            with faulty.lock:
                number = faulty.requests
                faulty.requests += 1
            time.sleep(faulty.seconds)
            status, kind, body = faulty.answer(number)
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            for byte in [bytes([b]) for b in body] if faulty.drip else [body]:
                self.wfile.write(byte)
                self.wfile.flush()
                time.sleep(faulty.drip)

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError):  # the client gave up: that is what is tested
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    faulty.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield faulty
    finally:
        server.shutdown()
        server.server_close()
