import json
from pathlib import Path

import pytest

from mmedagent.cases.case import Case, Opinion
from mmedagent.cases.store import write_cases
from mmedagent.errors import BadDataError
from mmedagent.panel.curriculum import sort_cases
from mmedagent.panel.table import read_curriculum, write_opinions
from mmedagent.recipes.panel import CurriculumRecipe
from tests.mmedagent.panel.conftest import NAMES, cases_of_all_pools


def said_of(case: Case, right: int) -> tuple[Opinion, ...]:
    """Return opinions of which `right` are right, one of the others being no opinion."""
    wrong = next(letter for letter in case.view().letters if letter != case.letter)
    letters = [case.letter] * right + [None, wrong, wrong][: 3 - right]
    return tuple(
        Opinion(specialist=name, role=case.specialty, letter=letter, reasoning="", raw="")
        for name, letter in zip(NAMES, letters, strict=True)
    )


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    made = cases_of_all_pools(6)
    write_cases(tmp_path / "cases", "drawn", made)
    return made


def test_each_training_case_gets_the_tier_of_its_agreement(
    tmp_path: Path, cases: list[Case]
) -> None:
    train = [case for case in cases if case.pool == "train"]
    rights = [3, 3, 2, 1, 0, 3]
    opinions = {c.case_id: said_of(c, n) for c, n in zip(train, rights, strict=True)}
    warm = next(case for case in cases if case.pool == "warm_start")
    write_opinions(tmp_path / "o" / "opinions.parquet", {warm.case_id: said_of(warm, 0)} | opinions)
    stats = sort_cases(tmp_path / "cases", tmp_path / "o", CurriculumRecipe(), tmp_path / "out")
    placed = read_curriculum(tmp_path / "out")
    assert [placed[c.case_id].agreement for c in train] == [n / 3 for n in rights]
    assert warm.case_id not in placed
    assert stats["tiers"] == {
        "easy": {"cases": 3, "share": 1 / 2},
        "medium": {"cases": 2, "share": 1 / 3},
        "hard": {"cases": 1, "share": 1 / 6},
    }
    assert stats["by_question_type"]["plane"]["easy"]["cases"] == 1
    assert json.loads((tmp_path / "out" / "curriculum.json").read_text()) == stats


def test_an_empty_tier_is_named(tmp_path: Path, cases: list[Case]) -> None:
    opinions = {case.case_id: said_of(case, 3) for case in cases}
    write_opinions(tmp_path / "opinions.parquet", opinions)
    out = tmp_path / "out"
    with pytest.raises(BadDataError, match=r"medium and hard \(easy 6, medium 0, hard 0"):
        sort_cases(tmp_path / "cases", tmp_path / "opinions.parquet", CurriculumRecipe(), out)
    assert not out.exists()
    lenient = CurriculumRecipe(least_per_tier=0)
    stats = sort_cases(tmp_path / "cases", tmp_path / "opinions.parquet", lenient, out)
    assert stats["mean_agreement"] == 1.0


def test_opinions_on_other_cases_are_refused(tmp_path: Path, cases: list[Case]) -> None:
    write_opinions(tmp_path / "opinions.parquet", {"another": said_of(cases[0], 1)})
    with pytest.raises(BadDataError, match="6 training cases have no opinions, the first 'case-"):
        sort_cases(tmp_path / "cases", tmp_path, CurriculumRecipe(), tmp_path / "out")
