import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from filelock import FileLock
from rich.console import Console

from mmedagent.digests import digest_folder
from mmedagent.errors import BrokenEvidenceError, MMedAgentError, UsageError
from mmedagent.study import opening
from mmedagent.study.agenda import Task
from mmedagent.study.context import Context, Row
from mmedagent.study.folder import cell_path, read_evidence, shared_path
from mmedagent.study.memory import GIB
from mmedagent.study.runner import Limits, Outcome, run_study
from mmedagent.study.worker import Work
from tests.mmedagent.study import fakes
from tests.mmedagent.study.conftest import ROOT


def go(
    context: Context,
    rows: tuple[Row, ...] = fakes.ROWS,
    seeds: int = 2,
    jobs: int = 2,
    memory: int = 4 * GIB,
    work: Work = fakes.WORK,
) -> tuple[Outcome, str]:
    console = Console(file=io.StringIO(), width=200)
    tasks = [Task(seed, row) for row in rows for seed in range(seeds)]
    outcome = run_study(context, tasks, Limits(jobs, memory), console, work)
    return outcome, console.file.getvalue()  # type: ignore[attr-defined]


def row(name: str, **spec: object) -> Row:
    return Row(name, "baseline", name, "rest", spec)


def leftovers(folder: Path) -> list[str]:
    scratch = list((folder / "work" / "scratch").glob("*"))
    return [p.name for p in [*folder.rglob("*.aside"), *scratch]]


def test_cells_are_made_in_parallel_and_not_again(place: Path) -> None:
    context = fakes.context(place)
    outcome, said = go(context)
    assert (outcome.done, outcome.kept, outcome.most_workers) == (8, 0, 2)
    assert "8/8" in said and "row_d/seed-1" in said and "noise" not in said
    evidence = read_evidence(context.out)
    assert {row: sorted(by_seed) for row, by_seed in evidence.cells.items()} == {
        row.name: [0, 1] for row in fakes.ROWS
    }
    assert sorted(evidence.shared) == [0, 1]
    assert leftovers(place) == []
    assert "noise" in "".join(p.read_text() for p in (place / "work" / "logs").glob("*"))

    before = {path: path.stat().st_mtime_ns for path in context.out.rglob("*.json")}
    again, _ = go(context, seeds=2)
    assert (again.done, again.kept, again.most_workers) == (0, 8, 0)
    more, _ = go(context, seeds=3)
    assert (more.done, more.kept) == (4, 8)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


def test_seeds_are_finished_one_after_the_other(place: Path) -> None:
    context = fakes.context(place)
    _, said = go(context, seeds=3, jobs=1)
    ended = [word for word in said.split() if "/seed-" in word]
    seeds = [int(name[-1]) for name in ended]
    assert seeds == sorted(seeds)
    assert [name for name in ended if name.startswith("shared")] == [
        f"shared/seed-{seed}" for seed in range(3)
    ]


@pytest.mark.slow
def test_a_runner_killed_at_any_moment_goes_on_to_the_same_files(place: Path) -> None:
    command = [sys.executable, "-m", "tests.mmedagent.study.fakes", str(place)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    context = fakes.context(place)
    for cells in (2, 5):
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL)
        children = _wait_for_cells(process, context.out, cells)
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(children, timeout=10)
        assert not alive, "workers outlive their runner"
    read_evidence(context.out)  # whatever is there is whole
    for half in context.out.rglob(".*.aside"):  # a runner leaves alone what may still be written
        os.utime(half, (0, 0))
    subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert leftovers(place) == []
    killed = digest_folder(context.out)

    shutil.rmtree(context.out)
    shutil.rmtree(context.work)
    subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert digest_folder(context.out) == killed


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_signal_ends_it_at_once_and_says_that_it_goes_on(
    place: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "tests.mmedagent.study.fakes", str(place)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    children = _wait_for_cells(process, fakes.context(place).out, 1)
    process.send_signal(number)
    _, error = process.communicate(timeout=10)
    assert b"InterruptedWithCheckpoint: stopped: " in error and b"goes on" in error
    assert not psutil.wait_procs(children, timeout=5)[1]
    assert leftovers(place) == []


def test_a_failing_cell_is_named_and_the_others_go_on(place: Path) -> None:
    context = fakes.context(place)
    bad = row("bad", fail="no gradient")
    with pytest.raises(MMedAgentError, match=r"1 tasks.*failed(.|\n)*bad/seed-1: ValueError: no g"):
        go(context, (bad, *fakes.ROWS))
    cells = read_evidence(context.out).cells
    assert {name: len(by_seed) for name, by_seed in cells.items()} == {
        "bad": 1, "row_a": 2, "row_b": 2, "row_c": 2, "row_d": 2,
    }  # fmt: skip
    trace = (context.work / "failures" / "bad.seed-1.txt").read_text()
    assert 'raise ValueError(spec["fail"])' in trace


def test_cells_of_a_seed_whose_shared_work_failed_are_not_run(place: Path) -> None:
    context = fakes.context(place)
    work = Work(fakes.prepare_badly, fakes.run)
    with pytest.raises(MMedAgentError, match="5 tasks.*failed") as error:
        go(context, work=work)
    assert "shared/seed-1: RuntimeError: the warm start diverged" in str(error.value)
    assert "row_a/seed-1: not run: shared/seed-1 failed" in str(error.value)
    assert all(list(by_seed) == [0] for by_seed in read_evidence(context.out).cells.values())


def test_a_cell_that_does_not_fit_is_not_written(place: Path) -> None:
    context = fakes.context(place)
    with pytest.raises(MMedAgentError, match=r"pools.test.greedy: 19 cases; pool test has 20"):
        go(context, fakes.ROWS[:1], 1, work=Work(fakes.prepare, fakes.run_short))
    assert not cell_path(context.out, "row_a", 0).exists()


def test_a_worker_that_is_killed_gets_its_task_done_by_another(place: Path) -> None:
    context = fakes.context(place)
    outcome, said = go(context, (row("hungry", die=1), *fakes.ROWS), 1)
    assert outcome.done == 5
    assert "hungry/seed-0: its worker was killed: most often the machine ran out" in said


def test_a_task_that_kills_every_worker_is_given_up(place: Path) -> None:
    context = fakes.context(place)
    with pytest.raises(MMedAgentError, match=r"1 tasks.*(.|\n)*hungry/seed-0: its worker was kill"):
        go(context, (row("hungry", die=9), *fakes.ROWS), 1)
    assert len(read_evidence(context.out).cells) == 4


@pytest.mark.slow
def test_measured_memory_decides_how_many_run(place: Path) -> None:
    """One is started on the assumption of 1 GiB each; what it took lets more run, or no more."""
    grown = tuple(row(f"big_{n}", grow=100 * 2**20, sleep=0.05) for n in range(6))
    outcome, _ = go(fakes.context(place), grown, 1, jobs=3, memory=GIB)
    assert outcome.most_workers == 3
    frugal, _ = go(fakes.context(place), grown[:3], 2, jobs=3, memory=150 * 2**20)
    assert frugal.most_workers == 1


def test_another_recipe_or_other_data_are_refused(place: Path) -> None:
    go(fakes.context(place), fakes.ROWS[:1], 1)
    with pytest.raises(UsageError, match=r"recipe rrrrrrrrrrrr, asked is recipe ssss.*--out"):
        go(fakes.context(place, recipe="s" * 64))
    with pytest.raises(UsageError, match=r"data dddddddddddd, asked is data eeee.*go back"):
        go(fakes.context(place, data="e" * 64))


def test_what_changed_in_the_recipe_is_named(place: Path) -> None:
    context = fakes.context(place)
    opening.open_study(context)
    values = context.recipe.model_dump()
    values["training"]["attending"]["learning_rate"] = 0.5
    other = type(context.recipe).model_validate(values)
    changed = Context(**{**vars(context), "recipe": other, "digests": {
        **context.digests, "recipe": "s" * 64}})  # fmt: skip
    with pytest.raises(UsageError, match=r"training.attending.learning_rate was .*, is 0.5"):
        opening.open_study(changed)


def test_a_row_that_was_changed_is_refused(place: Path) -> None:
    context = fakes.context(place)
    go(context, (row("one", sleep=0.01),), 1)
    with pytest.raises(BrokenEvidenceError, match=r"cells/one/seed-0.json: made with .*0.01.*0.02"):
        go(context, (row("one", sleep=0.02),), 1)


def test_a_start_that_is_not_the_one_its_cells_had_is_refused(place: Path) -> None:
    context = fakes.context(place)
    go(context, fakes.ROWS[:1], 1)
    path = shared_path(context.out, 0)
    path.write_text(path.read_text().replace('"AAAA', '"BAAA', 1))
    with pytest.raises(MMedAgentError, match=r"shared/seed-0.json: made at .* other pools than"):
        go(context, fakes.ROWS[:2], 1)


def test_a_cell_that_another_process_works_on_is_left_to_it(place: Path) -> None:
    context = fakes.context(place)
    go(context, fakes.ROWS[:1], 1)
    locks = [p for p in (context.work / "locks").rglob("row_a.seed-0.lock")]
    cell_path(context.out, "row_a", 0).unlink()
    text = "made elsewhere"
    with FileLock(locks[0]), pytest.raises(BrokenEvidenceError, match=r"row_a/seed-0.json: "):
        _run_while(context, cell_path(context.out, "row_a", 0), text)
    assert cell_path(context.out, "row_a", 0).read_text() == text
    assert cell_path(context.out, "row_b", 0).exists()


def _run_while(context: Context, path: Path, text: str) -> None:
    """Run two rows; once the second is made, the first appears from elsewhere."""
    import threading

    def other() -> None:
        other_cell = cell_path(context.out, "row_b", 0)
        while not other_cell.exists():
            time.sleep(0.05)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    thread = threading.Thread(target=other)
    thread.start()
    try:
        go(context, fakes.ROWS[:2], 1)
    finally:
        thread.join()


def _wait_for_cells(
    process: subprocess.Popen[bytes], out: Path, count: int
) -> list[psutil.Process]:
    until = time.monotonic() + 60
    while len(list(out.glob("cells/*/*.json"))) < count:
        assert process.poll() is None, "it ended before it was stopped"
        assert time.monotonic() < until
        time.sleep(0.02)
    return psutil.Process(process.pid).children(recursive=True)
