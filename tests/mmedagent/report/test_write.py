import json
import re
import shutil
from html.parser import HTMLParser

import jsonschema
import pytest

from mmedagent.atomic import write_json
from mmedagent.cli.report import find_run
from mmedagent.errors import UsageError
from mmedagent.report.rundir import KNOWN_TASKS
from mmedagent.report.summary import SCHEMA_FILE
from mmedagent.report.write import write_report
from tests.mmedagent.report.conftest import record, write_run_file

SCHEMA = json.loads(SCHEMA_FILE.read_text())
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Collects what a page loads, whether its tags close, and its text."""

    def __init__(self, html):
        super().__init__()
        self.open, self.loads, self.text, self.tags = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset")]

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def read(run):
    page = write_report(run)
    assert page == run / "report.html"
    html = page.read_text()
    summary = json.loads((run / "summary.json").read_text())
    jsonschema.validate(summary, SCHEMA)
    parsed = Page(html)
    assert not parsed.open
    links = {path for path in parsed.loads if not path.startswith("data:image/")}
    assert links <= set(summary["links"].values())
    assert all((run / path).is_file() for path in summary["links"].values())
    assert not re.search(r"https?://|@import|url\(|<script|<link", html)
    assert "no medical device" in parsed.words
    return parsed, summary


@pytest.fixture
def copied(finished_run, tmp_path):
    run = tmp_path / finished_run.name
    shutil.copytree(finished_run, run, ignore=shutil.ignore_patterns("work"))
    return run


def test_a_finished_run_gets_the_whole_page(finished_run):
    page, summary = read(finished_run)
    assert summary["problems"] == []
    assert summary["run"]["state"] == "done"
    assert summary["links"] == {
        "verdict": "verdict/verdict.html",
        "data_docs": "validation/index.html",
    }
    assert "validation/index.html" in page.loads
    assert summary["headline"]["verdict"] == "pass"
    assert page.words.index("The challenger may replace the champion.") < 200 + page.words.index(
        "retraining run"
    )
    for heading in (
        "The verdict",
        "The run",
        "Training",
        "Accuracy",
        "Triage",
        "Compared with",
        "Twelve consultations",
        "The data",
        "What it was made of",
    ):
        assert heading in page.words
    assert sum(tag == "svg" for tag, _ in page.tags) == 1 + 1 + 8 + 4 + 2 + 1
    for task, _ in KNOWN_TASKS:
        assert task.replace("-", " ").replace("rl", "RL") in page.words


def test_there_are_twelve_examples_four_of_them_against_the_panel(finished_run):
    page, summary = read(finished_run)
    items = summary["examples"]["items"]
    assert len(items) == 12
    assert sum(item["overruled"] for item in items) == 4
    against = [item for item in items if item["overruled"]]
    assert sorted(item["correct"] for item in against) == [False, False, True, True]
    assert len({item["image_digest"] for item in items}) == 12
    images = [dict(attrs)["src"] for tag, attrs in page.tags if tag == "img"]
    assert len(set(images)) == 12
    for item in items:
        assert item["correct"] == (item["letter"] == item["gold_letter"])
        right = [opinion["correct"] for opinion in item["opinions"]]
        assert item["tier"] == ("easy" if all(right) else "medium" if any(right) else "hard")


def test_the_figures_are_those_of_the_evaluation(finished_run):
    page, summary = read(finished_run)
    metrics = json.loads((finished_run / "evaluation/metrics.json").read_text())
    assert summary["metrics"] == metrics
    value = metrics["systems"]["challenger"]["accuracy"]["value"]
    assert f"{100 * value:.1f}" in page.words
    rows = {row["system"]: row for row in summary["baselines"]}
    assert list(rows)[:4] == ["challenger", "champion", "start", "panel_majority"]
    assert {"text_only", "options_permuted", "specialist:left"} <= set(rows)
    data = summary["data"]
    assert data["totals"]["test"]["images"] == metrics["images"]
    assert data["all"]["cases"] == sum(sizes["cases"] for sizes in data["totals"].values())


def test_the_papers_ablation_stands_beside_what_was_measured(finished_run):
    page, summary = read(finished_run)
    systems = summary["metrics"]["systems"]
    titles = {row["title"]: row for row in summary["ablation"]}
    # `without C-MARL` is a model that no run trains, so it is not there.
    assert list(titles) == [
        "full",
        "without triage",
        "without specialists",
        "easy only",
        "easy + medium",
    ]
    row = titles["without triage"]
    assert row["published"] == {
        "VQA-RAD": 66.3,
        "SLAKE": 69.9,
        "OmniMedVQA": 66.2,
        "MMMU-Med": 59.3,
    }
    assert row["accuracy"] == systems["random_specialty"]["accuracy"]
    full, ours = titles["full"]["accuracy"]["value"], row["accuracy"]["value"]
    assert row["difference"]["value"] == pytest.approx(full - ours)
    assert titles["full"]["difference"] is None
    assert "Ablation" in page.words and "Paper: VQA-RAD" in page.words and "66.3" in page.words


def test_without_a_row_of_the_paper_there_is_no_ablation_table(copied):
    from mmedagent.report.tables import ablation

    metrics = json.loads((copied / "evaluation/metrics.json").read_text())
    kept = ("challenger", "champion", "start", "panel_majority", "specialist:left")
    metrics["systems"] = {name: metrics["systems"][name] for name in kept}
    assert ablation(metrics) == []
    write_json(copied / "evaluation/metrics.json", metrics)
    page, summary = read(copied)
    assert summary["ablation"] == [] and "Paper: VQA-RAD" not in page.words


def test_trust_and_cost_are_shown_for_every_system(finished_run):
    page, summary = read(finished_run)
    rows = {row["system"]: row for row in summary["baselines"]}
    trust = rows["challenger"]["trust"]["follows_wrong_consensus"]
    assert f"{100 * trust['value']:.1f}" in page.words
    assert rows["self_vote"]["cost"]["specialist_calls"] == 0
    assert rows["challenger"]["cost"]["specialist_calls"] == 3
    assert "challenger without opinions*" in page.words
    assert not any(row["oracle"] for row in summary["baselines"])


def test_both_show_the_same_interval_for_the_same_difference(finished_run):
    _, summary = read(finished_run)
    row = summary["verdict"]["rows"][0]
    same = summary["metrics"]["differences"]["panel_majority"]["accuracy"]
    assert (row["lower"], row["upper"]) == (same["lower"], same["upper"])


def test_curves_keep_every_step_and_mark_what_was_not_finite(finished_run):
    _, summary = read(finished_run)
    assert [curve["task"] for curve in summary["curves"]] == [
        "triage-rl",
        "attending-easy",
        "attending-medium",
        "attending-hard",
    ]
    series = summary["curves"][0]["series"]
    assert len(series["reward"]) == 120
    assert series["kl"][3] is None and series["kl"][4] is not None


def test_a_run_that_failed_says_where_and_why(copied):
    for task in ("attending-medium", "attending-hard", "evaluate", "gate", "register", "deploy"):
        (copied / "tasks" / f"{task}.json").unlink()
    message = "the disk is full: <b>no</b> checkpoint was written & nothing is lost"
    error = {"type": "OSError", "message": message, "exit_code": 1}
    record(copied, "attending-medium", "failed", 8, error=error)
    page, summary = read(copied)
    assert summary["failure"] == {"task": "attending-medium", "state": "failed", **error}
    assert "The run failed at attending medium. There is no verdict." in page.words
    assert message in page.words  # escaped: the parser sees it as text
    states = {task["name"]: task["state"] for task in summary["tasks"]}
    assert states["attending-easy"] == "executed"
    assert states["attending-hard"] == states["deploy"] == "not_reached"
    assert summary["metrics"] is None and summary["examples"] is None
    assert len(summary["curves"]) == 2


def test_a_run_that_died_before_its_plan_gets_a_page(tmp_path):
    run = tmp_path / "20250131T100000Z-dead"
    run.mkdir()
    page, summary = read(run)
    assert [problem["part"] for problem in summary["problems"]] == ["run.json"]
    assert {task["state"] for task in summary["tasks"] if task["name"] != "report"} == {
        "not_reached"
    }
    assert "There is no verdict" in page.words or "no verdict" in page.words


def test_a_killed_run_is_interrupted_not_done(copied):
    record(
        copied,
        "evaluate",
        "interrupted",
        10,
        error={"type": "KeyboardInterrupt", "message": "stopped", "exit_code": 75},
    )
    for task in ("gate", "register", "deploy"):
        (copied / "tasks" / f"{task}.json").unlink()
    page, summary = read(copied)
    assert summary["run"]["state"] == "interrupted"
    assert "The run was interrupted at evaluate." in page.words


def test_a_failed_deploy_keeps_the_verdict_in_sight(copied):
    record(
        copied,
        "deploy",
        "failed",
        13,
        error={"type": "ServingError", "message": "port 8080 is in use", "exit_code": 1},
    )
    page, _ = read(copied)
    assert "The run failed at deploy. The verdict had been pass." in page.words


@pytest.mark.parametrize(
    ("file", "content", "part"),
    [
        ("run.json", "{", "run.json"),
        ("tasks/gate.json", "[]", "tasks/gate.json"),
        ("evaluation/metrics.json", "{", "evaluate: metrics.json"),
        ("evaluation/predictions.parquet", "PAR1", "examples"),
        ("verdict/verdict.json", "nonsense", "gate: verdict.json"),
        ("model-triage-rl/curves.jsonl", "{}\n{", "curves of triage-rl"),
        ("data/manifest.json", "{}", "data"),
    ],
)
def test_what_cannot_be_read_is_named_and_the_rest_is_shown(copied, file, content, part):
    write_json(
        copied / "tasks/gate.json",
        {
            **json.loads((copied / "tasks/gate.json").read_text()),
            "outputs": {"verdict": "verdict"},
        },
    )
    record(copied, "ingest", "cached", 0, {"cases": "data"})
    record(copied, "triage-rl", "executed", 6, {"model": "model-triage-rl"})
    (copied / file).write_text(content)
    page, summary = read(copied)
    assert part in [problem["part"] for problem in summary["problems"]]
    assert "Parts of this run could not be read" in page.words


def test_metrics_of_another_shape_do_not_lose_the_page(copied):
    write_json(copied / "evaluation/metrics.json", {"schema": 1})
    page = write_report(copied)
    assert "could not be read" in page.read_text()


def test_text_from_models_is_never_markup(copied):
    import pandas as pd

    from mmedagent.evaluation.predictions import read_predictions, write_predictions

    table, facts = read_predictions(copied / "evaluation")
    table["reasoning"] = "<img src=x onerror=alert(1)></q>"
    rows = table.astype(object).where(pd.notna(table), None).to_dict("records")
    write_predictions(copied / "evaluation/predictions.parquet", rows, facts)
    record(copied, "ingest", "cached", 0, {"cases": "data"})
    page, _ = read(copied)
    assert not any("onerror" in attrs for _, attrs in page.tags)
    assert "<img src=x onerror=alert(1)>" in page.words


def test_the_report_is_the_same_when_written_again(copied):
    first = write_report(copied).read_bytes(), (copied / "summary.json").read_bytes()
    assert (write_report(copied).read_bytes(), (copied / "summary.json").read_bytes()) == first


def test_the_command_finds_runs_by_name_and_names_those_that_exist(tmp_path, monkeypatch):
    monkeypatch.setenv("MMEDAGENT_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="`mmedagent run` makes one"):
        find_run(None)
    run = tmp_path / "runs" / "20250131T100000Z-aaaa"
    run.mkdir(parents=True)
    write_run_file(run)
    (tmp_path / "runs/latest").symlink_to(run.name)
    assert find_run(None) == find_run(run) == run
    from pathlib import Path

    assert find_run(Path(run.name)) == run
    with pytest.raises(UsageError, match="There are 20250131T100000Z-aaaa"):
        find_run(Path("another"))
    with pytest.raises(UsageError, match="no such run"):
        write_report(tmp_path / "nowhere")
