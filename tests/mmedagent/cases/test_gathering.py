"""Facts are gathered in workers, survive a kill, and need bounded memory."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mmedagent.cases.adding.progress import silent
from mmedagent.cases.facts import FACTS, open_facts
from mmedagent.cases.gathering import gather, units_of
from mmedagent.cases.layout import row_of, to_arrow
from mmedagent.cases.store import read_manifest
from mmedagent.cases.writer import VersionWriter
from mmedagent.errors import InterruptedWithCheckpoint
from mmedagent.interrupt import StopRequest
from mmedagent.recipes.data import ValidationRecipe
from tests.mmedagent.cases.examples import data_set, example, noise

RECIPE = ValidationRecipe()
KEY = {"data": "one"}


def _version(folder: Path, groups: int, rows: int, images: int = 8) -> Path:
    """A version of several row groups, as a large one has them."""
    drawn = [noise(n, 64) for n in range(images)]
    with VersionWriter(folder, "big") as writer:
        for group in range(groups):
            cases = [
                example(n % 2, case_id=f"case-{group}-{n:06d}", images=(drawn[n % images],))
                for n in range(rows)
            ]
            writer.add("train", to_arrow([row_of(case) for case in cases]))
            writer._pools["train"]._flush()
    return folder


def _gather(
    folder: Path, work: Path, workers: int, stop: StopRequest | None = None
) -> list[object]:
    with open_facts(work, KEY) as facts:
        manifest = read_manifest(folder)
        gather(facts, folder, manifest, RECIPE, silent, stop or StopRequest(), workers)
        tables = ("cases", "shown", "pictures")
        return [sorted(map(str, facts.rows(f"SELECT * FROM {table}"))) for table in tables]


def test_workers_find_what_one_process_finds(tmp_path: Path) -> None:
    folder = _version(tmp_path / "data", groups=3, rows=20)
    assert len(list(units_of(folder, read_manifest(folder)))) == 3
    assert _gather(folder, tmp_path / "one", 1) == _gather(folder, tmp_path / "two", 2)


class _After(StopRequest):
    """Asked to stop once it has been looked at so often."""

    def __init__(self, looks: int) -> None:
        self._looks = looks

    @property
    def asked(self) -> bool:  # type: ignore[override]
        self._looks -= 1
        return self._looks < 0


def test_a_stopped_run_goes_on_at_the_next_row_group(tmp_path: Path) -> None:
    folder = _version(tmp_path / "data", groups=4, rows=10)
    with pytest.raises(InterruptedWithCheckpoint, match="goes on"):
        _gather(folder, tmp_path / "work", 1, _After(1))
    kept = sqlite3.connect(tmp_path / "work" / FACTS)
    assert kept.execute("SELECT COUNT(*) FROM done").fetchone() == (2,)
    kept.execute("UPDATE cases SET question = 'kept' WHERE position = 0")
    kept.commit()
    kept.close()
    cases, *rest = _gather(folder, tmp_path / "work", 1)
    whole, *others = _gather(folder, tmp_path / "whole", 1)
    assert rest == others
    assert [line.replace("'kept'", "'Which imaging modality is this?'") for line in cases] == whole
    assert sum("'kept'" in line for line in cases) == 1


def test_facts_of_another_version_or_recipe_are_made_anew(tmp_path: Path) -> None:
    for key in (KEY, {"data": "two"}):
        with open_facts(tmp_path, key) as facts:
            assert not facts.units_done()
            facts.add("unit", [], [])
    with open_facts(tmp_path, {"data": "two"}) as facts:
        assert facts.units_done() == {"unit"}
    (tmp_path / FACTS).write_bytes(b"no database at all" * 100)
    with open_facts(tmp_path, KEY) as facts:
        assert not facts.units_done()


_SCRIPT = """
import sys
from pathlib import Path
from mmedagent.cases.validation import validate
from mmedagent.recipes.data import ValidationRecipe
if __name__ == "__main__":
    recipe = ValidationRecipe(pools=("train",), max_imbalance=99, max_answer_share=1.0,
                              policy={"contradiction": "off"})
    def tell(phase, done, total):
        print(phase, done, flush=True)
    validate(Path(sys.argv[1]), recipe, Path(sys.argv[2]), tell=tell, workers=2)
"""


def _start(tmp_path: Path, folder: Path) -> subprocess.Popen[str]:
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    command = [sys.executable, str(script), str(folder), str(tmp_path / "out")]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_validation_goes_on(tmp_path: Path, how: signal.Signals) -> None:
    folder = _version(tmp_path / "data", groups=12, rows=300)
    running = _start(tmp_path, folder)
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("inspecting cases") and int(line.split()[-1]) >= 600:
            break
    children = psutil.Process(running.pid).children(recursive=True)
    running.send_signal(how)
    _, errors = running.communicate(timeout=60)
    assert running.returncode != 0 and not (tmp_path / "out").exists()
    if how == signal.SIGINT:
        assert "goes on from it" in errors
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    again = _start(tmp_path, folder)
    output, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    first = next(line for line in output.splitlines() if line.startswith("inspecting cases"))
    assert 600 <= int(first.split()[-1]) < 3600
    assert (tmp_path / "out" / "validation.json").is_file()
    assert not (tmp_path / ".out.work").exists()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_cases(tmp_path: Path) -> None:
    """Twenty thousand cases take what two thousand do."""

    def peak(name: str, groups: int) -> int:
        folder = _version(tmp_path / name, groups=groups, rows=1000, images=400)
        (tmp_path / name / "run").mkdir()
        running = _start(tmp_path / name / "run", folder)
        most = 0
        while running.poll() is None:
            try:
                parent = psutil.Process(running.pid)
                everyone = [parent, *parent.children(recursive=True)]
                most = max(most, sum(one.memory_full_info().uss for one in everyone))
            except psutil.Error:
                continue
            time.sleep(0.4)
        assert running.returncode == 0, running.communicate()[1]
        return most

    few, many = peak("few", 2), peak("many", 20)
    assert many < few + 150 * 2**20
    assert many < 1200 * 2**20


def test_the_starting_point_is_a_good_set(tmp_path: Path) -> None:
    with VersionWriter(tmp_path / "data", "small") as writer:
        for case in data_set():
            writer.add(case.pool, to_arrow([row_of(case)]))
    cases, shown, pictures = _gather(tmp_path / "data", tmp_path / "work", 1)
    assert len(cases) == len(shown) == len(pictures) == 20
