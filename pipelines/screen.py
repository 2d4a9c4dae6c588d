"""What a run looks like on the terminal: one line a task when it ends, bars while it works."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from mmedagent.progress import read

_POLL_SECONDS = 0.5
_MARKS = {
    "executed": ("[green]done[/]", "✓"),
    "cached": ("[cyan]cached[/]", "="),
    "failed": ("[bold red]failed[/]", "✗"),
    "interrupted": ("[yellow]stopped[/]", "■"),
}
_NAME_WIDTH = 22


class Screen:
    """Shows tasks as they start, work and end. Without a terminal: plain lines, no bars."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("  {task.description:<" + str(_NAME_WIDTH) + "}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._watched: dict[str, tuple[TaskID, Path]] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._poller = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> Self:
        self._bars.start()
        self._poller.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._poller.join()
        self._bars.stop()

    def say(self, text: str) -> None:
        """Print one line above the bars."""
        self._console.print(text, highlight=False, soft_wrap=True)

    def started(self, task: str, progress: Path) -> None:
        """Show a bar for `task`, fed by what its process writes to `progress`."""
        with self._lock:
            self._watched[task] = (self._bars.add_task(task, total=None, text=""), progress)
        if not self._console.is_terminal:
            self.say(f"  · {task} started")

    def ended(self, task: str, state: str, seconds: float, message: str) -> None:
        """Replace the bar of `task` by one line: how it ended and after how long."""
        with self._lock:
            watched = self._watched.pop(task, None)
            if watched:
                self._bars.remove_task(watched[0])
        words, mark = _MARKS.get(state, (state, "?"))
        time = "" if state == "cached" else f"{seconds:7.1f} s"
        self.say(f"  {mark} {task:<{_NAME_WIDTH}} {words:<20} {time}")
        if message and state == "failed":
            self._console.print(f"    {message}", markup=False, highlight=False, soft_wrap=True)

    def _poll(self) -> None:
        while not self._ended.wait(_POLL_SECONDS):
            with self._lock:
                for bar, path in self._watched.values():
                    told = read(path)
                    if told:
                        done, total, text = told
                        self._bars.update(bar, completed=done, total=total, text=text)
