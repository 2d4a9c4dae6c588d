"""How far a validation is: told to whoever called it, and to whoever watches the run."""

import time

from mmedagent import progress
from mmedagent.cases.adding.progress import Tell


def telling(tell: Tell) -> Tell:
    """Return a `Tell` that also writes the run's progress, with a rate and the time left."""
    began: dict[str, tuple[float, int]] = {}

    def both(phase: str, done: int, total: int | None) -> None:
        tell(phase, done, total)
        start, first = began.setdefault(phase, (time.monotonic(), done))
        if total:
            rate = (done - first) / max(time.monotonic() - start, 1e-3)
            said = phase if rate <= 0 else f"{phase}, {_rate(rate, total - done)}"
            progress.tell(done, total, said)

    return both


def _rate(per_second: float, left: int) -> str:
    """Return a rate and the time left, as a person says them."""
    seconds = left / per_second
    minutes = f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
    return f"{per_second:,.0f}/s, {minutes} left"
