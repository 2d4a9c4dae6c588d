"""A run's folder, its outcome and what the terminal says of it."""

import io
import json
import socket
from pathlib import Path

import pytest
from filelock import FileLock
from rich.console import Console

from mmedagent import progress
from mmedagent.errors import ExitCode, MMedAgentError
from mmedagent.recipes.named import RECIPES
from mmedagent.recipes.params import render
from mmedagent.records import write_record
from pipelines.dag import TASKS
from pipelines.local import LocalRun
from pipelines.plan import Plan, Versions, make_plan
from pipelines.run import Options, TaskFailed, _outcome, conclude, read_verdict, run
from pipelines.runfolder import git_revision, new_run, point_latest
from pipelines.screen import Screen
from pipelines.submit import SubmitError, submit

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(ROOT, RECIPES["laptop"](), Versions("d" * 32, "b" * 32, "e" * 32))


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def ended(run: Path, verdict: str | None = "pass", **errors: int) -> None:
    """Write records as a run leaves them; the tasks in `errors` failed with that code."""
    for task in TASKS:
        if task.parameter in errors:
            code = errors[task.parameter]
            state = "interrupted" if code == 75 else "failed"
            error = {"type": "X", "message": f"no luck in {task.name}", "exit_code": code}
            write_record(run, task.name, state, error=error)  # type: ignore[arg-type]
            return
        outputs = {}
        if task.name == "gate" and verdict is not None:
            outputs = {"verdict": str(run / "verdict")}
            (run / "verdict").mkdir()
            text = json.dumps({"verdict": verdict, "reasons": ["because"]})
            (run / "verdict" / "verdict.json").write_text(text)
        write_record(run, task.name, "executed", outputs=outputs)


def local(run: Path, console: Console) -> LocalRun:
    return LocalRun(run, run / "cache", Screen(console))


def test_two_runs_of_one_plan_get_folders_of_their_own(tmp_path: Path, plan: Plan) -> None:
    one, other = (new_run(tmp_path / "runs", plan, None) for _ in range(2))
    assert one != other and plan.digest[:8] in one.name
    point_latest(one)
    point_latest(other)
    assert (tmp_path / "runs" / "latest").resolve() == other
    facts = json.loads((one / "run.json").read_text())
    assert facts["recipe"] == plan.recipe.model_dump(mode="json")
    assert facts["data"] == {
        "name": "starter", "revision": None, "md5": "d" * 32, "manifest": None
    }  # fmt: skip
    assert facts["digests"]["champion"] == "none" and facts["digests"]["image"] == "none"
    assert [task["name"] for task in facts["tasks"]] == [*(t.name for t in TASKS), "report"]


def test_a_revision_says_whether_the_tree_differs_from_it(tmp_path: Path) -> None:
    assert git_revision(tmp_path) is None
    revision = git_revision(ROOT)
    assert revision is None or len(revision.removesuffix("+")) == 40


@pytest.mark.parametrize(("verdict", "code"), [("pass", 0), ("fail", 10), ("underpowered", 11)])
def test_a_run_that_worked_ends_as_its_verdict(
    tmp_path: Path, plan: Plan, console: Console, verdict: str, code: int
) -> None:
    folder = new_run(tmp_path, plan, None)
    ended(folder, verdict)
    conclude(local(folder, console), plan)
    facts = json.loads((folder / "run.json").read_text())
    assert facts["state"] == "done" and facts["exit_code"] == code
    assert _outcome(local(folder, console), True, console) == code
    assert f"verdict {verdict}" in said(console) and "because" in said(console)


def test_a_failed_task_gives_its_message_and_code(
    tmp_path: Path, plan: Plan, console: Console
) -> None:
    folder = new_run(tmp_path, plan, None)
    ended(folder, validate=13)
    state = local(folder, console)
    state.failures.append("validate")
    conclude(state, plan)
    assert json.loads((folder / "run.json").read_text())["state"] == "failed"
    with pytest.raises(TaskFailed, match="validate: no luck in validate") as caught:
        _outcome(state, False, console)
    assert caught.value.exit_code == ExitCode.BAD_DATA


def test_an_interrupted_run_with_something_done_exits_75(
    tmp_path: Path, plan: Plan, console: Console
) -> None:
    folder = new_run(tmp_path, plan, None)
    ended(folder, triage_rl=75)
    state = local(folder, console)
    state.interrupted = True
    conclude(state, plan)
    assert json.loads((folder / "run.json").read_text())["state"] == "interrupted"
    with pytest.raises(TaskFailed) as caught:
        _outcome(state, False, console)
    assert caught.value.exit_code == ExitCode.INTERRUPTED


@pytest.mark.parametrize("verdict", [None, "perhaps"])
def test_no_verdict_is_never_a_pass(tmp_path: Path, plan: Plan, verdict: str | None) -> None:
    folder = new_run(tmp_path, plan, None)
    ended(folder, verdict)
    with pytest.raises(MMedAgentError, match="left no verdict"):
        read_verdict(folder)


def test_an_unknown_exit_code_counts_as_a_crash() -> None:
    assert TaskFailed("x", 143).exit_code == ExitCode.CRASH
    assert TaskFailed("x", 0).exit_code == ExitCode.CRASH
    assert TaskFailed("x", 12).exit_code == ExitCode.BROKEN_EVIDENCE


def test_one_run_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, console: Console
) -> None:
    (tmp_path / "params.yaml").write_text(render())
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MMEDAGENT_HOME", str(tmp_path))
    monkeypatch.setenv("MMEDAGENT_WORK", str(tmp_path / "work"))
    with (
        FileLock(tmp_path / "runs" / ".lock"),
        pytest.raises(MMedAgentError, match="another run is under way"),
    ):
        run("laptop", [], Options(), console)


def test_a_run_on_other_data_than_the_trees_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, console: Console
) -> None:
    (tmp_path / "params.yaml").write_text(render())
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    out = {"path": "data/rad", "md5": "c" * 32 + ".dir"}
    lock = {"stages": {"rad": {"outs": [out]}}}
    (tmp_path / "dvc.lock").write_text(json.dumps(lock))
    (tmp_path / "data" / "rad").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MMEDAGENT_HOME", str(tmp_path))
    monkeypatch.setenv("MMEDAGENT_WORK", str(tmp_path / "work"))
    for data, code in (("rad", 13), ("rad@" + "a" * 32, 2), ("vqa", 2)):
        with pytest.raises(MMedAgentError) as caught:
            run("laptop", [], Options(data=data), console)
        assert caught.value.exit_code == code
    assert not (tmp_path / "runs" / "storage").exists()


def test_the_screen_says_how_each_task_ended(tmp_path: Path, console: Console) -> None:
    with Screen(console) as screen:
        screen.started("label", tmp_path / "label.progress")
        screen.ended("label", "executed", 12.34, "")
        screen.ended("ingest", "cached", 0.0, "")
        screen.ended("gate", "failed", 1.0, "no [predictions] at all")
    lines = said(console).splitlines()
    assert "label started" in lines[0] and "done" in lines[1] and "12.3 s" in lines[1]
    assert "cached" in lines[2] and "failed" in lines[3]
    assert lines[4].strip() == "no [predictions] at all"


def test_bars_show_what_a_task_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "p.json"
    monkeypatch.setenv(progress.VARIABLE, str(file))
    progress.tell(40, 40, "reward 0.61")
    terminal = Console(file=io.StringIO(), width=120, force_terminal=True)
    with Screen(terminal) as screen:
        screen.started("triage-rl", file)
        screen._ended.wait(0.8)
        screen._bars.refresh()
    assert "40/40" in said(terminal) and "reward 0.61" in said(terminal)


def test_a_pipeline_server_that_is_not_there_is_one_clear_message(plan: Plan) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(SubmitError, match=f"no pipeline server answers at http://127.0.0.1:{port}"):
        submit(plan, f"http://127.0.0.1:{port}", "x", "y")
