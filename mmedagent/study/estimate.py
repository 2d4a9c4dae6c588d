"""How long the rest takes, from how long tasks of the same row took."""

from collections.abc import Sequence

from mmedagent.study.agenda import Task


class Estimate:
    """Learns the seconds of each row, from finished tasks."""

    def __init__(self) -> None:
        self._seen: dict[str, list[float]] = {}

    def saw(self, task: Task, seconds: float) -> None:
        """Take in how long `task` took."""
        self._seen.setdefault(_kind(task), []).append(seconds)

    def left(
        self, waiting: Sequence[Task], running: Sequence[tuple[Task, float]], lanes: int
    ) -> float | None:
        """Return seconds until all is done on `lanes` workers; None before a first cell is done.

        `running` are tasks with the seconds they have run. A row that was never seen counts as
        the mean of all cells; shared work never seen counts as one cell.
        """
        if not any(self._seen):
            return None
        rest = sum(self._of(task) for task in waiting)
        rest += sum(max(0.0, self._of(task) - since) for task, since in running)
        return rest / lanes

    def _of(self, task: Task) -> float:
        own = self._seen.get(_kind(task))
        if own:
            return sum(own) / len(own)
        cells = [s for kind, all_ in self._seen.items() if kind for s in all_]
        return sum(cells) / len(cells)


def _kind(task: Task) -> str:
    """Return what tasks of one kind have in common: the row; nothing for a seed's shared work."""
    return task.row.name if task.row else ""
