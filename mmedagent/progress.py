"""How far long work is: the working process writes it, whoever watches the run shows it as a bar.

A step calls `tell(done, total, text)` as often as it likes. The latest state lies in the JSON
file that `$MMEDAGENT_PROGRESS` names, rewritten at most every half second; without that variable
(a test, a pod) the call costs nothing.
"""

import json
import os
import time
from pathlib import Path

VARIABLE = "MMEDAGENT_PROGRESS"
_SECONDS_BETWEEN_WRITES = 0.5
_last_write = 0.0


def tell(done: int, total: int, text: str = "") -> None:
    """Say that `done` of `total` units of work are done; `text` is a remark beside the bar.

    A `total` of 0 is an unknown one.
    """
    global _last_write
    name = os.environ.get(VARIABLE)
    now = time.monotonic()
    under_way = done < total or total == 0
    if not name or (under_way and now - _last_write < _SECONDS_BETWEEN_WRITES):
        return
    _last_write = now
    path = Path(name)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps({"done": done, "total": total, "text": text}), encoding="utf-8")
    # Not atomic.write_bytes: a lost progress line harms nobody, an fsync twice a second might.
    aside.replace(path)


def read(path: Path) -> tuple[int, int, str] | None:
    """Return (done, total, text) as last told, or None when nothing (whole) was told yet."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        return int(state["done"]), int(state["total"]), str(state["text"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
