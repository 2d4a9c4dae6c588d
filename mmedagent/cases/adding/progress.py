"""How far an ingest is, on the screen."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mmedagent import progress

Tell = Callable[[str, int, int | None], None]
"""Called with the phase, the units done and the units in all, None when unknown."""


def silent(phase: str, done: int, total: int | None) -> None:
    """Tell nobody."""


@contextmanager
def progress_bars(transient: bool = False) -> Iterator[Tell]:
    """Show each phase as a bar with its rate and the time left, on stderr.

    `transient` takes the bars away in the end, for commands that print what they found.

    Where another command watches (`mmedagent.progress`), it is told instead, and shows the bar.
    """
    if os.environ.get(progress.VARIABLE):
        yield lambda phase, done, total: progress.tell(done, total or 0, phase)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, console=console, transient=transient) as bars:
        tasks: dict[str, Any] = {}

        def tell(phase: str, done: int, total: int | None) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total or None, rate="")
            speed = bars.tasks[tasks[phase]].speed
            rate = f"{speed:,.0f}/s" if speed else ""
            bars.update(tasks[phase], completed=done, total=total or None, rate=rate)

        yield tell
