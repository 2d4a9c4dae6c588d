import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from mmedagent.errors import UsageError
from mmedagent.study.comparisons import CLAIMS
from mmedagent.study.context import Row
from mmedagent.study.folder import read_evidence, read_file, study_path, write_file
from mmedagent.study.page import PLACES, page_files, write_page
from mmedagent.study.prose import command, opening, targets
from mmedagent.study.results import Results, cpu_seconds
from mmedagent.study.rows import ROWS
from mmedagent.study.schema import Study
from tests.mmedagent.study.conftest import ROOT
from tests.mmedagent.study.factory import Factory, Plan

STAGES = {"easy": (0.95, 0.6, 0.15), "medium": (0.95, 0.65, 0.15)}
COLLAPSING = {"easy": (0.95, 0.6, 0.1), "medium": (0.7, 0.7, 0.2)}
PLANS = {
    "full": Plan(medium=0.8, hard=0.4, follows=0.3, stages=STAGES),
    "paper": Plan(0.3, 0.35, 0.4, 0.1, stages=COLLAPSING),
    "start": Plan(0.9, 0.5, 0.1),
    "no_attending_rl": Plan(0.92, 0.55, 0.1),
    "supervised_with_opinions": Plan(0.97, 0.6, 0.1, 0.95),
    "supervised_without_opinions": Plan(0.7, 0.6, 0.3, 0.3),
}


def rows(*names: str) -> list[tuple[Row, Plan]]:
    """Rows of the study with the plans above, others all alike."""
    found = []
    for row in ROWS:
        if not names or row.name in names:
            trained = row.group in ("factorial", "cleaning")
            found.append((row, PLANS.get(row.name, Plan(stages=STAGES if trained else {}))))
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with all rows."""
    folder = tmp_path_factory.mktemp("whole")
    Factory(images=60).write(folder, rows())
    return folder


@pytest.fixture(scope="module")
def results(whole: Path) -> Results:
    return Results(read_evidence(whole))


@pytest.fixture(scope="module")
def files(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return page_files(whole, tmp_path_factory.mktemp("no-notes"))


def small(tmp_path: Path, plans: dict[str, Plan]) -> Results:
    by_name = {row.name: row for row in ROWS}
    planned = [(by_name[name], plan) for name, plan in plans.items()]
    return Results(Factory(images=60).write(tmp_path, planned))


def test_every_section_table_and_figure_is_there(files: dict[str, str]) -> None:
    page = files["study.md"]
    drawn = re.findall(r"\]\((study/[a-z_]+\.svg)\)", page)
    assert sorted(drawn) == sorted(name for name in files if name.endswith(".svg"))
    assert len(drawn) == 7
    # The summary stands above the first; what is written by hand alone has no section without.
    assert page.count("\n## ") == len(PLACES) - 2
    assert "nan" not in page.lower().replace("finance", "")
    assert "None" not in page
    for row in ROWS:
        assert f"`{row.name}`" in page
    for claim in CLAIMS:
        assert claim.text in page
    assert "| 71.5 | 76.2 | 73.3 | 71.9 |" in page  # the paper's own table
    assert "| Dermatologist | Pathologist | Radiologist | accuracy, % |" in page
    assert "| start greedy | 70.0 | 70.0 to 70.0 |" in page


def test_figures_are_valid_files_and_inline_in_the_page(files: dict[str, str]) -> None:
    for name, text in files.items():
        if name.endswith(".svg"):
            root = ElementTree.fromstring(text)
            assert root.tag == "{http://www.w3.org/2000/svg}svg"
            width, height = float(root.attrib["width"]), float(root.attrib["height"])
            for item in root.iter():
                for key, size in (("cx", width), ("cy", height), ("x1", width), ("y2", height)):
                    assert -1 <= float(item.attrib.get(key, 0)) <= size, (name, item.attrib)
            used = set(re.findall(r"var\((--\w+)\)", text))
            assert used <= set(re.findall(r"(--\w+):", text))
    page = files["study.html"]
    assert page.count("<svg") == 7 and "<img" not in page
    assert not re.search(r'(src|href)="(?!#)|https?://(?!www\.w3\.org)', page)
    used = set(re.findall(r"var\((--\w+)\)", page[page.index("<body") :]))
    assert used <= set(re.findall(r"(--\w+):", page))
    assert page.count("<table>") == files["study.md"].count("\n| ---")


def test_the_same_files_give_the_same_page(whole: Path, files: dict[str, str]) -> None:
    assert page_files(whole, whole / "elsewhere") == files


def test_figures_are_those_of_the_cells(whole: Path, files: dict[str, str]) -> None:
    """The default's accuracy, counted by hand from the files."""
    evidence = read_evidence(whole)
    gold = evidence.pools["test"].gold
    right = [
        sum(a == b for a, b in zip(cell.pools["test"].greedy, gold, strict=True)) / len(gold)
        for cell in evidence.cells["full"].values()
    ]
    mean = 100 * sum(right) / len(right)
    assert re.search(rf"\| `full` \| {mean:.1f} \(", files["study.md"])


def test_verdicts_follow_the_planted_effects(results: Results) -> None:
    verdicts = {claim.text: results.judge(claim) for claim in CLAIMS}
    assert verdicts["Reinforcement learning lifts the attending over its start"] == "shown"
    assert verdicts["The paper's plain stages lift the attending over its start"] == "contradicted"
    assert verdicts["Easy before hard is the order that helps"] == "not decided"
    trusting = "C-MARL corrects a misleading consensus where supervision follows it"
    assert verdicts[trusting] == "shown"
    assert verdicts["A stronger panel lifts the attending"] == "cannot be tested here"
    family = [c for c in results.compared.values() if c.estimate is not None]
    assert len(family) == len(results.compared)
    for compared in family:
        assert compared.adjusted is not None and compared.estimate is not None
        assert compared.adjusted >= (compared.estimate.p or 0)


def test_the_collapse_is_told_in_figures(files: dict[str, str], results: Results) -> None:
    said = re.search(r"plain stages, from the untrained.*easy cases ([\d.]+) to ([\d.]+)",
                     files["study.md"])  # fmt: skip
    assert said is not None
    assert float(said[1]) > 85 and float(said[2]) < 40
    first = results.estimate("paper", "easy|easy")
    last = results.estimate("paper", "hard|easy")
    assert first is not None and last is not None and first.value - last.value > 0.5
    assert last == results.estimate("paper", "easy")


def test_what_mends_the_collapse_is_computed(files: dict[str, str]) -> None:
    collapse = files["study.md"].split("\n## The collapse")[1].split("\n## ")[0]
    mended = re.findall(r"^\| ([^|]+) \| (yes|no|–) \|", collapse, re.MULTILINE)
    assert dict(mended) == {
        "plain, groups kept (paper)": "–",
        "plain, groups dropped": "yes",
        "plain, kept, gamma none": "yes",
        "plain, kept, half replayed": "yes",
        "cumulative, groups kept": "yes",
        "cumulative, groups dropped": "yes",
        "the default": "yes",
    }


@pytest.mark.parametrize(
    ("supervised", "sentence"),
    [
        (Plan(0.99, 0.95, 0.6), "**Supervised training on gold answers beats reinforcement"),
        (Plan(0.9, 0.4, 0.05), "**Reinforcement learning beats supervised training"),
    ],
)
def test_the_first_paragraph_says_who_wins(tmp_path: Path, supervised: Plan, sentence: str) -> None:
    plans = {"full": Plan(), "supervised_with_opinions": supervised}
    said = opening(small(tmp_path, plans))
    assert said.startswith(sentence)
    page = page_files(tmp_path, tmp_path)["study.md"]
    first = page.split("\n\n")[2]
    assert first == said


def test_a_lead_within_the_interval_is_called_that(tmp_path: Path) -> None:
    equal = {"full": Plan(), "supervised_with_opinions": Plan()}
    results = small(tmp_path, equal)
    difference = results.difference("full", "supervised_with_opinions")
    assert difference is not None and difference.lower < 0 < difference.upper
    said = opening(results)
    leader = "Supervised" if difference.value < 0 else "Reinforcement learning"
    assert said.startswith(f"**{leader}") and "does not exclude zero" in said


def test_supervision_that_leads_on_one_tier_alone_is_named(tmp_path: Path) -> None:
    plans = {
        "full": Plan(easy=0.99, medium=0.9, hard=0.1),
        "supervised_without_opinions": Plan(easy=0.7, medium=0.5, hard=0.5),
    }
    said = opening(small(tmp_path, plans))
    assert "Reinforcement learning beats" in said
    assert re.search(r"Supervision is better.*on hard cases \(without opinions, \+", said)


def test_a_study_in_parts_has_a_page_that_says_what_is_missing(tmp_path: Path) -> None:
    results = small(tmp_path / "study", {"full": Plan(stages=STAGES)})
    assert "have not both been run" in opening(results)
    docs = tmp_path / "docs"
    (docs / "study").mkdir(parents=True)
    (docs / "study" / "old.svg").write_text("stale")
    page, html = write_page(tmp_path / "study", docs)
    assert "Not run: " in page.read_text() and "`paper`" in page.read_text()
    assert html.exists()
    assert {p.name for p in (docs / "study").iterdir()} == {
        "accuracy.svg", "differences.svg", "tiers.svg",
    }  # fmt: skip
    judged = {results.judge(claim) for claim in CLAIMS}
    assert judged == {"not measured", "shown", "cannot be tested here"}
    assert ("easy cases at 0.90 or more", "reached") in [(a, c) for a, _, c in targets(results)]


def test_notes_go_to_their_places(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "study-notes.md").write_text(
        "For the writer only.\n\n## summary\n\nIt *works*.\n\n## limits\n\nOne panel <only>.\n"
    )
    files = page_files(whole, tmp_path)
    page = files["study.md"]
    assert page.index("It *works*.") < page.index("## What was run")
    assert page.rstrip().endswith("One panel <only>.")
    assert "For the writer" not in page
    assert "It <em>works</em>." in files["study.html"]
    assert "One panel &lt;only&gt;." in files["study.html"]


def test_a_note_for_no_place_is_refused(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "study-notes.md").write_text("## sumary\n\nIt works.\n")
    with pytest.raises(UsageError, match=r"study-notes.md: no place 'sumary'.*summary, setup"):
        page_files(whole, tmp_path)


def test_a_quick_study_says_loudly_that_it_is_none(tmp_path: Path) -> None:
    small(tmp_path, {"full": Plan()})
    path = study_path(tmp_path)
    study = read_file(path, Study)
    write_file(path, study.model_copy(update={"quick": True, "overrides": ("a.b=1",)}))
    files = page_files(tmp_path, tmp_path)
    assert files["study.md"].split("\n\n")[2].startswith("> **Not a study.**")
    assert "<strong>Not a study.</strong>" in files["study.html"]
    assert "quick: no science" in files["study.html"]
    assert command(read_file(path, Study)) == "mmedagent study --set a.b=1 --quick"


def test_training_that_rows_share_counts_once(tmp_path: Path) -> None:
    """`full`, `full_vote` and `easy_only` are one training of one seed, asked differently."""
    plans = {"full": Plan(seeds=1), "full_vote": Plan(seeds=1), "paper": Plan(seeds=1)}
    spent = cpu_seconds(small(tmp_path, plans).evidence)
    assert spent == {"shared": 17.5, "training": 60.0, "measuring": 27.0}


@pytest.mark.slow
@pytest.mark.skipif(
    not study_path(ROOT / "benchmarks" / "study").exists(), reason="no study was run yet"
)
def test_the_page_in_the_repository_is_that_of_its_cells() -> None:
    docs = ROOT / "docs"
    expected = page_files(ROOT / "benchmarks" / "study", docs)
    there = {name: (docs / name).read_text() for name in expected}
    assert there == expected, "run `mmedagent study --page-only` and commit what it writes"
    figures = {f"study/{path.name}" for path in (docs / "study").glob("*.svg")}
    assert figures == {name for name in expected if name.endswith(".svg")}
