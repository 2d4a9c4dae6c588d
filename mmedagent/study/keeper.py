"""The one writer of a study's files: keeps what fits, and knows what is there."""

import json
from collections.abc import Mapping
from typing import TypeVar

from mmedagent.errors import BrokenEvidenceError
from mmedagent.study.agenda import Task
from mmedagent.study.context import Context
from mmedagent.study.folder import cell_path, check_cell, read_file, shared_path, write_file
from mmedagent.study.schema import Cell, Pool, Shared, Study, misfits

ValueT = TypeVar("ValueT", Shared, Cell)


class Keeper:
    """Reads and writes the cells of one study, and what their seeds share."""

    def __init__(self, context: Context, study: Study, pools: Mapping[str, Pool]) -> None:
        self._context, self._study, self._pools = context, study, pools

    def keep(self, task: Task, text: str) -> None:
        """Write what a worker made, once it is seen to be what was asked for.

        Raises `BrokenEvidenceError` when it does not fit the measured pools or the task, or when
        what a seed shares is not what its cells were made from.
        """
        if task.row is None:
            self._keep_shared(task, self._parse(task, text, Shared))
            return
        cell = self._parse(task, text, Cell)
        path = cell_path(self._context.out, task.row.name, task.seed)
        check_cell(path, cell, self._study)
        write_file(path, cell)

    def found(self, task: Task) -> Shared | Cell | None:
        """Return what is there of `task`, None if nothing is.

        Raises `BrokenEvidenceError` when a cell that is there does not fit the study, or was made
        with another definition of its row.
        """
        if task.row is None:
            path = shared_path(self._context.out, task.seed)
            return read_file(path, Shared, self._pools) if path.exists() else None
        path = cell_path(self._context.out, task.row.name, task.seed)
        if not path.exists():
            return None
        cell = read_file(path, Cell, self._pools)
        check_cell(path, cell, self._study)
        spec = json.loads(json.dumps(dict(task.row.spec)))
        if cell.spec != spec:
            raise BrokenEvidenceError(
                f"{path}: made with {cell.spec}, the row {task.row.name} is now {spec}."
                f" Remove {path.parent}, or give another --out"
            )
        return cell

    def _parse(self, task: Task, text: str, kind: type[ValueT]) -> ValueT:
        value = kind.model_validate_json(text)
        wrong = misfits(value, self._pools)
        if value.seed != task.seed:
            wrong.append(f"seed: {value.seed}, asked was {task.seed}")
        if wrong:
            raise BrokenEvidenceError("; ".join(wrong))
        return value

    def _keep_shared(self, task: Task, made: Shared) -> None:
        path = shared_path(self._context.out, task.seed)
        if not path.exists():
            write_file(path, made)
            return
        there = read_file(path, Shared, self._pools)
        for name in ("pools", "best_specialist"):
            if getattr(there, name) != getattr(made, name):
                raise BrokenEvidenceError(
                    f"{path}: made at revision {there.revision} with other {name} than now at"
                    f" {made.revision}: its cells and new ones would not share their seed's"
                    f" start. Remove it and the seed's cells, or go back to that revision"
                )
