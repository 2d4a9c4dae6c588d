"""Cheap work for the runner, importable by its worker processes; and a study run by hand.

What a cell does is asked for by its row's spec: `{"sleep": 0.1}`, `{"fail": "why"}`,
`{"grow": bytes}`, `{"die": times}`. `python -m tests.mmedagent.study.fakes FOLDER` runs a study in
a process of its own, which a test may kill.
"""

import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from mmedagent.recipes.resolve import resolve
from mmedagent.study.agenda import Task
from mmedagent.study.context import POOLS, Context, Row
from mmedagent.study.folder import pool_path, read_file
from mmedagent.study.memory import GIB
from mmedagent.study.runner import Limits, run_study
from mmedagent.study.schema import Cell, CellSeconds, Decisions, Pool, Shared, SharedPool
from mmedagent.study.worker import Work

ROWS = tuple(
    Row(f"row_{letter}", "baseline", letter, "conclusions", {"sleep": 0.15}) for letter in "abcd"
)


def context(folder: Path, **digests: str) -> Context:
    """The context of a study of the cases in `folder`/cases."""
    return Context(
        recipe=resolve("laptop"),
        cases=folder / "cases",
        base=folder / "base",
        panel=folder / "panel",
        work=folder / "work",
        out=folder / "study",
        quick=False,
        digests={"recipe": "r" * 64, "data": "d" * 64, "panel": "p", "base": "b", **digests},
        revision="abc",
    )


def pools(context: Context) -> dict[str, Pool]:
    return {name: read_file(pool_path(context.out, name), Pool) for name in POOLS}


def prepare(seed: int, context: Context) -> Shared:
    (context.seed_work(seed) / "prepared").write_text("yes")
    parts = {
        name: SharedPool(role=pool.specialty, opinions={"alder": "A" * pool.size})
        for name, pool in pools(context).items()
    }
    return Shared(
        seed=seed,
        revision=context.revision,
        cpu_seconds={"triage": 0.1},
        pools=parts,
        best_specialist="alder",
    )


def prepare_badly(seed: int, context: Context) -> Shared:
    if seed == 1:
        raise RuntimeError("the warm start diverged")
    return prepare(seed, context)


def run(row: Row, seed: int, context: Context) -> Cell:
    assert (context.seed_work(seed) / "prepared").exists()
    assert os.environ["OMP_NUM_THREADS"] == "1"
    Path(tempfile.mkdtemp(), "half-done").write_bytes(b"x" * 1000)
    spec = row.spec
    print("noise that a library prints")
    time.sleep(spec.get("sleep", 0.0))
    if "fail" in spec and seed == 1:
        raise ValueError(spec["fail"])
    if "die" in spec:
        _die(context.work / f"deaths-{row.name}-{seed}", spec["die"])
    held = bytearray(spec.get("grow", 0))
    draw = random.Random(f"{row.name} {seed}")
    decided = {
        name: Decisions(greedy="".join(draw.choice("ABC-") for _ in pool.case_ids))
        for name, pool in pools(context).items()
    }
    del held
    return Cell(
        row=row.name,
        group=row.group,
        seed=seed,
        spec=dict(spec),
        revision=context.revision,
        recipe_digest=context.digests["recipe"],
        data_digest=context.digests["data"],
        cpu_seconds=CellSeconds(train=1.0, evaluate=0.5),
        pools=decided,
    )


def run_short(row: Row, seed: int, context: Context) -> Cell:
    """Return a cell that lacks a case."""
    cell = run(row, seed, context)
    short = Decisions(greedy=cell.pools["test"].greedy[:-1])
    return cell.model_copy(update={"pools": {**cell.pools, "test": short}})


WORK = Work(prepare, run)


def _die(marks: Path, times: int) -> None:
    """End the process as the kernel does when memory is out, the first `times` times."""
    before = len(marks.read_text()) if marks.exists() else 0
    if before < times:
        marks.write_text("x" * (before + 1))
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    tasks = [Task(seed, row) for seed in range(3) for row in ROWS]
    run_study(context(Path(sys.argv[1])), tasks, Limits(2, 4 * GIB), Console(), WORK)
