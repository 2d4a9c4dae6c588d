"""Asked to stop: finish the step, write a checkpoint, then say that the same command goes on."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from mmedagent.errors import InterruptedWithCheckpoint


class StopRequest:
    """Whether the process was asked to stop (SIGTERM, or Ctrl-C)."""

    def __init__(self) -> None:
        self.asked = False

    def stopped(self, where: str) -> InterruptedWithCheckpoint:
        """Return the error to raise once a checkpoint lies in `where`."""
        return InterruptedWithCheckpoint(
            f"stopped with a checkpoint in {where}; the same command goes on from it"
        )


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Note SIGTERM and SIGINT instead of dying of them, until the block ends.

    Outside the main thread signals cannot be caught; the request then never comes.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(_signal: int, _frame: FrameType | None) -> None:
        request.asked = True

    old: dict[int, Any] = {kind: signal.signal(kind, note) for kind in _SIGNALS}
    try:
        yield request
    finally:
        for kind, handler in old.items():
            signal.signal(kind, handler)


_SIGNALS = (signal.SIGTERM, signal.SIGINT)
