"""What a study looks like on the terminal: one bar, what runs now, and the time left."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from mmedagent.report.page import duration

_MOST_NAMES = 4


class Screen:
    """Counts finished cells. Without a terminal: one plain line a task, no bar."""

    def __init__(self, console: Console, done: int, total: int) -> None:
        self._console = console
        self._done, self._total = done, total
        self._bars = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}  [dim]{task.fields[running]}[/]"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._bar = self._bars.add_task("cells", total=total, completed=done, left="", running="")

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        """Print one line above the bar."""
        self._console.print(text, highlight=False, soft_wrap=True)

    def ended(self, name: str, seconds: float, is_cell: bool, left: float | None) -> None:
        """Show that a task is done, how long it took and how long the rest will."""
        self._done += is_cell
        line = f"  [green]✓[/] {name:<44} {duration(seconds):>12}"
        if not self._console.is_terminal:
            line += f"  {self._done}/{self._total}"
            line += f", {duration(left)} left" if left else ""
        self.say(line)
        self.running([], left)

    def failed(self, name: str, message: str) -> None:
        """Show that a task failed."""
        line = Text.assemble(("  ✗ ", "bold red"), f"{name}: {message}")
        self._console.print(line, soft_wrap=True)

    def running(self, names: list[str], left: float | None) -> None:
        """Show what runs now and the time left."""
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        self._bars.update(
            self._bar,
            completed=self._done,
            left=f"{duration(left)} left" if left is not None else "",
            running=", ".join(names[:_MOST_NAMES]) + more,
        )
