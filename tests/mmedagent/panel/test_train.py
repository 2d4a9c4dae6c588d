from pathlib import Path

import pytest
import torch

from mmedagent.cases.store import read_cases, write_cases
from mmedagent.errors import BadDataError
from mmedagent.panel.client import open_panel
from mmedagent.panel.exam import examine, table
from mmedagent.panel.examples import lessons
from mmedagent.panel.folder import read_panel_folder
from mmedagent.panel.train import _train_one, train_panel
from mmedagent.recipes.panel import (
    PanelRecipe,
    PanelTrainingRecipe,
    SpecialistRecipe,
    SpecialistTrainingRecipe,
)
from tests.mmedagent.panel.conftest import TINY, case, cases_of_all_pools

ELM = SpecialistTrainingRecipe(name="elm", strong=("plane",), weak_share=0.2, seed=3)
OAK = SpecialistTrainingRecipe(name="oak", strong=("region",), seed=4)
RECIPE = PanelTrainingRecipe(
    specialists=(ELM, OAK), model=TINY, steps=3, batch_size=4, wrong_role_share=0.3
)


def test_lessons_are_the_mixture_that_the_recipe_asks_for() -> None:
    pool = [case(n, "panel") for n in range(30)]
    taught = lessons(pool, ELM, RECIPE)

    def share(words: str) -> float:
        texts = [str(lesson.example.prompt.messages) for lesson in taught]
        return sum(t.weight for t, s in zip(taught, texts, strict=True) if words in s)

    assert sum(lesson.weight for lesson in taught) == pytest.approx(1.0)
    assert share("Which plane") == pytest.approx(0.8)
    assert share("Radiologist: ") == pytest.approx(0.7)
    assert share("Surgeon: ") == pytest.approx(0.3 / 6)


def test_only_wrong_roles_are_taught_noise() -> None:
    pool = [case(n, "panel") for n in range(30)]
    by_type = sorted(range(30), key=lambda n: pool[n].question_type != "plane")
    right = [f"<answer> {pool[n].letter}</answer>" for n in by_type for _ in range(7)]
    taught = lessons(pool, ELM, RECIPE)
    agree = [t.example.completion.endswith(r) for t, r in zip(taught, right, strict=True)]
    in_role = ["Radiologist: " in str(t.example.prompt.messages) for t in taught]
    assert all(a for a, role in zip(agree, in_role, strict=True) if role)
    noisy = [a for a, role in zip(agree, in_role, strict=True) if not role]
    assert 0.3 < sum(noisy) / len(noisy) < 0.55  # chance: half of two options, a third of three
    faithful = RECIPE.model_copy(update={"wrong_role_noise": 0.0})
    taught = lessons(pool, ELM, faithful)
    assert all(t.example.completion.endswith(r) for t, r in zip(taught, right, strict=True))


def test_a_strength_that_no_question_has_is_refused() -> None:
    stain = SpecialistTrainingRecipe(name="elm", strong=("stain",), seed=3)
    with pytest.raises(BadDataError, match="strong in stain; the panel pool has .* plane, region"):
        lessons([case(n, "panel") for n in range(4)], stain, RECIPE)


def test_training_again_gives_the_same_weights(tmp_path: Path) -> None:
    pool = [case(n, "panel") for n in range(8)]
    was = torch.are_deterministic_algorithms_enabled()
    try:
        first = _train_one(pool, ELM, RECIPE, tmp_path / "a")
        again = _train_one(pool, ELM, RECIPE, tmp_path / "b")
        other = _train_one(pool, OAK, RECIPE, tmp_path / "b")
    finally:
        torch.use_deterministic_algorithms(was)
    assert first["digest"] == again["digest"] != other["digest"]


def test_an_empty_panel_pool_is_refused(tmp_path: Path) -> None:
    write_cases(tmp_path / "cases", "drawn", [case(1, "train")])
    with pytest.raises(BadDataError, match="panel pool is empty"):
        train_panel(tmp_path / "cases", RECIPE, tmp_path / "panel")


@pytest.mark.slow
def test_a_trained_panel_can_be_asked_and_examined(tmp_path: Path) -> None:
    write_cases(tmp_path / "cases", "drawn", cases_of_all_pools(8))
    result = train_panel(tmp_path / "cases", RECIPE, tmp_path / "panel")
    assert read_panel_folder(tmp_path / "panel").digest == result["digest"]
    recipe = PanelRecipe(specialists=(SpecialistRecipe(name="elm"), SpecialistRecipe(name="oak")))
    validation = read_cases(tmp_path / "cases", ["validation"])
    with open_panel(recipe, tmp_path / "panel") as panel:
        sheet = examine(panel, validation)
    assert [c.specialty for c in validation] == [each[0].role for each in sheet.right]
    assert all(w[0].role != r[0].role for w, r in zip(sheet.wrong, sheet.right, strict=True))
    assert "| plane | 4 |" in table(sheet)


@pytest.mark.slow
def test_the_laptop_s_panel_depends_on_its_role() -> None:
    cases, folder = Path("data/starter"), Path("models/panel")
    if not (folder.is_dir() and cases.is_dir()):
        pytest.skip("no models/panel here: `dvc repro panel` trains it")
    with open_panel(PanelRecipe(), folder) as panel:
        sheet = examine(panel, read_cases(cases, ["validation"]))
    for n, name in enumerate(sheet.specialists):
        assert sheet.role_effect(n).value >= 0.10, name
    best_single = max(sheet.accuracy(n, True).value for n in range(len(sheet.specialists)))
    assert sheet.any_right().value > best_single + 0.10  # the strengths differ
    assert all(sheet.tier(tier).value > 0.05 for tier in ("easy", "medium", "hard"))
