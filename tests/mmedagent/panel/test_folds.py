"""Cross-fitting with real tiny panels: who labels a case has not seen its subject."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmedagent.cases.case import Case
from mmedagent.cases.store import read_cases, write_cases
from mmedagent.errors import BadDataError, BrokenEvidenceError
from mmedagent.panel.client import open_panel
from mmedagent.panel.folder import MANIFEST, panel_manifest, read_panel_folder
from mmedagent.panel.folds import read_folds, split_subjects, subject_key
from mmedagent.panel.label import label
from mmedagent.panel.table import read_opinions
from mmedagent.panel.train import train_panel
from mmedagent.recipes.panel import LabelRecipe, PanelRecipe, SpecialistRecipe
from tests.mmedagent.panel.conftest import case
from tests.mmedagent.panel.test_train import RECIPE

FOLDED = RECIPE.model_copy(update={"cross_fit_folds": 2, "steps": 2})
PANEL = PanelRecipe(
    specialists=(SpecialistRecipe(name="elm"), SpecialistRecipe(name="oak")),
    most_without_opinion=1.0,
)


def _cases() -> list[Case]:
    """Two questions a subject, and none in the panel pool but of a subject that `train` has."""
    numbers = range(100, 126)
    pools = ["warm_start" if n < 110 else "train" for n in numbers]
    folded = [
        case(n, pool, "Radiologist" if n % 4 < 2 else "Dermatologist").model_copy(
            update={"subject": f"subject-{n // 2}"}
        )
        for n, pool in zip(numbers, pools, strict=True)
    ]
    return [*folded, *(_of(case(n, "panel"), "subject-60") for n in (1, 2))]


def _of(one: Case, subject: str) -> Case:
    return one.model_copy(update={"subject": subject})


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cases and the cross-fitted panel that was trained on them."""
    folder = tmp_path_factory.mktemp("folded")
    write_cases(folder / "cases", "drawn", _cases())
    train_panel(folder / "cases", FOLDED, folder / "panel")
    return folder


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=4, max_size=30), folds=st.integers(2, 4))
def test_folds_are_whole_subjects_and_even(sizes: list[int], folds: int) -> None:
    one = case(0)
    drawn = [_of(one, f"s{n}") for n, size in enumerate(sizes) for _ in range(size)]
    fold_of = split_subjects(drawn, folds)
    assert set(fold_of) == {subject_key(f"s{n}") for n in range(len(sizes))}
    loads = Counter(fold_of[subject_key(one.subject)] for one in drawn)
    assert set(loads) == set(range(folds))
    assert max(loads.values()) - min(loads.values()) <= max(sizes)
    assert fold_of == split_subjects(drawn[::-1], folds)


def test_each_specialty_is_spread_over_the_folds() -> None:
    fold_of = split_subjects(_cases(), 3)
    kinds = {(one.specialty, fold_of[subject_key(one.subject)]) for one in _cases()[:-2]}
    assert len(kinds) == 6


def test_more_folds_than_subjects_are_refused() -> None:
    with pytest.raises(BadDataError, match=r"cross_fit_folds is 9, but .* have 3 subjects"):
        split_subjects([case(n) for n in range(3)], 9)


def test_the_default_panel_s_manifest_is_as_it_was() -> None:
    assert panel_manifest({"elm": "aa"}) == {
        "schema": 1,
        "specialists": [{"name": "elm", "path": "elm", "digest": "aa"}],
        "digest": "910fea951b4f5b217f7145106f616e62e8ac7fe9237ee858e95aef2048fbee7c",
    }


@pytest.mark.slow
def test_no_case_is_labelled_by_a_panel_that_saw_its_subject(folded: Path, tmp_path: Path) -> None:
    manifest = json.loads((folded / "panel" / MANIFEST).read_text())
    facts = label(
        folded / "cases", folded / "panel", PANEL, LabelRecipe(), tmp_path / "s", tmp_path / "out"
    )
    pool = read_cases(folded / "cases", ["warm_start", "train"])
    said = read_opinions(tmp_path / "out")
    assert list(said) == [one.case_id for one in pool] and facts["cases"] == len(pool)
    everybody = {subject_key(one.subject) for one in pool}
    for number, entry in enumerate(manifest["folds"]["panels"]):
        assert set(entry["seen"]) < everybody  # the panel pool's subject is in a fold, too
        fold_of = manifest["folds"]["subjects"]
        own = [one for one in pool if fold_of[subject_key(one.subject)] == number]
        assert own and not {subject_key(one.subject) for one in own} & set(entry["seen"])
        # What was written is what this fold's panel says, and no other's.
        with open_panel(PANEL, folded / "panel" / entry["path"], tmp_path / "s") as asked:
            views, roles = [one.view() for one in own], [one.specialty for one in own]
            assert asked.opinions(views, roles) == [said[one.case_id] for one in own]
            assert asked.stats.asked == 0
    digests = {entry["digest"] for entry in manifest["folds"]["panels"]}
    assert len(digests | {manifest["digest"]}) == 3
    again = label(
        folded / "cases", folded / "panel", PANEL, LabelRecipe(), tmp_path / "s", tmp_path / "again"
    )
    assert again["asked"] == 0 and again["panel"] == facts["panel"]
    for name in ("opinions.parquet", "label.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@pytest.mark.slow
def test_the_final_panel_saw_everything_and_the_folder_names_no_subject(folded: Path) -> None:
    final = read_panel_folder(folded / "panel")
    assert [member.name for member in final.members] == ["elm", "oak"]
    assert final.digest == json.loads((folded / "panel" / MANIFEST).read_text())["digest"]
    assert "subject-" not in (folded / "panel" / MANIFEST).read_text()


@pytest.mark.slow
def test_other_data_tampering_and_leaks_are_refused(folded: Path, tmp_path: Path) -> None:
    panel = tmp_path / "panel"
    shutil.copytree(folded / "panel", panel)
    folds = read_folds(panel)
    assert folds is not None
    with pytest.raises(BadDataError, match="its subject 'subject-9' is in no fold"):
        folds.of(_of(case(9), "subject-9"))
    manifest = json.loads((panel / MANIFEST).read_text())
    moved = {**manifest, "folds": {**manifest["folds"], "subjects": {}}}
    (panel / MANIFEST).write_text(json.dumps(moved))
    with pytest.raises(BrokenEvidenceError, match="changed since it was written"):
        read_folds(panel)
    digests = {one["name"]: one["digest"] for one in manifest["specialists"]}
    wrong = {key: 1 - fold for key, fold in manifest["folds"]["subjects"].items()}
    leaking = panel_manifest(digests, {**manifest["folds"], "subjects": wrong})
    (panel / MANIFEST).write_text(json.dumps(leaking))
    with pytest.raises(BrokenEvidenceError, match="subjects of its own fold"):
        read_folds(panel)
    swapped = [{**one, "path": "fold-0"} for one in manifest["folds"]["panels"]]
    other = panel_manifest(digests, {**manifest["folds"], "panels": swapped})
    (panel / MANIFEST).write_text(json.dumps(other))
    with pytest.raises(BrokenEvidenceError, match="another panel"):
        read_folds(panel)
