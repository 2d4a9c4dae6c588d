"""The runner on a small pipeline: caching, failures, kills, interruptions; real processes."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


class Small:
    """A home folder in which the small pipeline is run."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.count = 0
        self.lines: list[str] = []

    def start(self, do: dict[str, Any]) -> "subprocess.Popen[str]":
        """Run in a process of its own, to kill or interrupt."""
        self.count += 1
        return subprocess.Popen(
            [sys.executable, "-m", "tests.pipelines.runner", self.home, f"r{self.count}"]
            + [json.dumps(do)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, do: dict[str, Any], parallel: int = 2) -> dict[str, Any]:
        """Run in this process (KFP is imported once); the tasks are processes all the same."""
        from tests.pipelines.runner import run_small

        self.count += 1
        result, self.lines = run_small(self.home, f"r{self.count}", do, parallel)
        return result

    @property
    def folder(self) -> Path:
        return self.home / "runs" / f"r{self.count}"

    def record(self, task: str) -> dict[str, Any]:
        path = self.folder / "tasks" / f"{task}.json"
        return json.loads(path.read_text()) if path.exists() else {"state": "not_reached"}

    def states(self) -> dict[str, str]:
        return {t: self.record(t)["state"] for t in ("first", "left", "right", "end", "last")}

    def report(self) -> str:
        return (self.folder / "report.html").read_text()

    def trace(self) -> list[str]:
        path = self.home / "work" / "trace.txt"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    monkeypatch.setenv("MMEDAGENT_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return Small(tmp_path)


def wait_for(line: str, process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    for said in process.stdout:
        if said.startswith(line):
            return
    raise AssertionError(f"never said {line!r}")


def wait_until(condition: Any, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def test_a_second_run_executes_the_exit_task_alone(small: Small) -> None:
    assert small.run({})["succeeded"]
    assert set(small.states().values()) == {"executed"}
    made = small.record("left")
    assert small.run({})["succeeded"]
    assert small.states() == {
        **dict.fromkeys(("first", "left", "right", "end"), "cached"),
        "last": "executed",
    }
    assert sorted(small.trace()) == ["end", "first", "left", "right"]
    again = small.record("left")
    assert again["outputs"] == made["outputs"] and again["digests"] == made["digests"]
    assert again["result"]["did"] == "write"


def test_only_what_depends_on_a_changed_plan_runs_again(small: Small) -> None:
    small.run({})
    small.run({"right": {"changed": True}})
    assert small.states()["right"] == "executed"
    assert {small.states()[t] for t in ("first", "left", "end")} == {"cached"}


def test_independent_tasks_run_side_by_side(small: Small) -> None:
    slow = {"do": "train", "seconds": 0.15}
    small.run({"left": slow, "right": slow})
    left, right = small.record("left")["result"], small.record("right")["result"]
    assert left["from"] < right["to"] and right["from"] < left["to"]


def test_one_at_a_time_when_asked(small: Small) -> None:
    small.run({"left": {"n": 1}, "right": {"n": 1}}, parallel=1)
    left, right = small.record("left")["result"], small.record("right")["result"]
    assert left["to"] <= right["from"] or right["to"] <= left["from"]


def test_a_failing_step_gives_its_message_its_code_and_a_report(small: Small) -> None:
    result = small.run({"left": {"do": "fail"}})
    assert result == {"succeeded": False, "interrupted": False}
    record = small.record("left")
    assert record["state"] == "failed"
    assert record["error"]["type"] == "BadDataError" and record["error"]["exit_code"] == 13
    assert "row 3: answer 'x'" in record["error"]["message"]
    assert "ended left failed row 3: answer 'x' is none of ['a', 'b']" in small.lines
    assert small.states()["end"] == "not_reached"
    assert small.report() == "FAILED"
    log = (small.folder / "logs" / "left.log").read_text()
    assert "Traceback" not in log.split("executor_input", 1)[1]


@pytest.mark.parametrize(
    ("do", "message"),
    [
        ("crash", "ZeroDivisionError: division by zero"),
        ("die", "killed (SIGKILL): out of memory, or by hand"),
        ("full", "no space left on the disk"),
    ],
)
def test_other_ends_are_told_in_one_message(small: Small, do: str, message: str) -> None:
    small.run({"end": {"do": do}})
    record = small.record("end")
    assert record["state"] == "failed" and record["error"]["exit_code"] == 1
    assert message in record["error"]["message"]
    assert small.report() == "FAILED"


def test_after_kill_9_the_next_run_goes_on_from_the_checkpoint(small: Small) -> None:
    do = {"left": {"do": "train", "seconds": 0.3}}
    process = small.start(do)
    wait_for("started left", process)
    wait_until(lambda: "left from 0" in small.trace())
    time.sleep(1.0)
    process.kill()
    process.wait()
    assert small.run(do)["succeeded"]
    assert small.states()["first"] == "cached"
    assert small.trace().count("first") == 1
    resumed = [line for line in small.trace() if line.startswith("left from")]
    assert len(resumed) == 2 and int(resumed[1].split()[-1]) >= 2


def test_an_interrupted_run_keeps_its_checkpoint_and_reports(small: Small) -> None:
    do = {"left": {"do": "train", "seconds": 0.3}}
    process = small.start(do)
    wait_for("started left", process)
    wait_until(lambda: "left from 0" in small.trace())
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert json.loads(out.splitlines()[-1]) == {"succeeded": False, "interrupted": True}
    record = small.record("left")
    assert record["state"] == "interrupted" and record["error"]["exit_code"] == 75
    assert small.report() == "FAILED"
    assert small.run(do)["succeeded"]
    assert int([line for line in small.trace() if line.startswith("left from")][1][-1]) >= 1


def test_a_lost_artifact_is_published_again_without_the_work(small: Small) -> None:
    small.run({})
    shutil.rmtree(small.folder)
    assert small.run({})["succeeded"]
    assert small.states()["left"] == "cached"
    assert sorted(small.trace()) == ["end", "first", "left", "right"]
    assert Path(small.record("left")["outputs"]["after"], "ran.txt").read_text() == "left"


def test_a_result_that_was_tampered_with_is_not_taken_for_whole(small: Small) -> None:
    small.run({})
    shutil.rmtree(small.folder)
    (out,) = (small.home / "work" / "left").glob("*/out/ran.txt")
    out.write_text("tampered")
    small.run({})
    assert small.trace().count("left") == 2
    assert Path(small.record("left")["outputs"]["after"], "ran.txt").read_text() == "left"


def test_kfp_gets_its_seams_back(tmp_path: Path) -> None:
    from kfp.local import subprocess_task_handler
    from kfp.local.orchestrator import enhanced_dag_orchestrator, task_executor

    from pipelines.local import LocalRun
    from tests.pipelines.runner import Lines

    before = (
        subprocess_task_handler.run_local_subprocess,
        enhanced_dag_orchestrator.run_enhanced_dag,
        task_executor.execute_single_task,
    )

    def broken() -> None:
        assert task_executor.execute_single_task is not before[2]
        raise KeyError("x")

    with pytest.raises(KeyError):
        LocalRun(tmp_path, tmp_path / "cache", Lines()).execute(broken, {})
    assert before == (
        subprocess_task_handler.run_local_subprocess,
        enhanced_dag_orchestrator.run_enhanced_dag,
        task_executor.execute_single_task,
    )
