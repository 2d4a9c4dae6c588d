"""The rows: named once, known to the recipe, and those of the issue all there."""

import pytest
from pydantic import ValidationError

from mmedagent.recipes.named import laptop
from mmedagent.study.rows import ORDERS, PAPER, ROWS, SCHEDULES
from mmedagent.study.spec import Spec

DEFAULT = laptop().training.attending
BY_NAME = {row.name: Spec.model_validate(row.spec) for row in ROWS}


def test_names_are_unique_and_can_be_folders():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert all(name.replace("_", "").replace("-", "").isalnum() for name in names)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_change_is_a_field_of_the_recipe(name):
    recipe = BY_NAME[name].recipe(DEFAULT, seed=3)
    assert recipe.seed == 3
    for field, value in BY_NAME[name].changes.items():
        assert getattr(recipe, field) == value


def test_an_unknown_order_is_refused():
    with pytest.raises(ValidationError, match="backwards"):
        Spec(changes={"order": "backwards"}).recipe(DEFAULT, 0)
    with pytest.raises(ValidationError, match="entropie_by"):
        Spec(changes={"entropie_by": "tier"}).recipe(DEFAULT, 0)


def test_the_factorial_is_whole_with_beta_constant():
    for order in ORDERS:
        for schedule, (by, _) in SCHEDULES.items():
            recipe = BY_NAME[f"{order}-{schedule}"].recipe(DEFAULT, 0)
            assert (recipe.order, recipe.entropy_by, recipe.kl_by) == (order, by, "constant")
            assert recipe.stages == "cumulative"
    assert BY_NAME["easy_to_hard-by_tier-paper_beta"].recipe(DEFAULT, 0).kl_by == "tier"


def test_the_two_by_two_crosses_stages_and_dropping():
    found = set()
    for name in ("paper", "plain-dropped", "cumulative-kept", "cumulative-dropped"):
        recipe = BY_NAME[name].recipe(DEFAULT, 0)
        found.add((recipe.stages, recipe.drop_groups_without_variance))
        assert (recipe.order, recipe.entropy_by, recipe.kl_by) == ("easy_to_hard", "tier", "tier")
    assert len(found) == 4


def test_the_papers_row_has_its_coefficients():
    recipe = BY_NAME["paper"].recipe(DEFAULT, 0)
    table = recipe.coefficients
    assert [(t.entropy, t.kl) for t in (table.easy, table.medium, table.hard)] == [
        (0.0001, 0.001),
        (0.005, 0.004),
        (0.03, 0.01),
    ]
    assert recipe.stages == PAPER["stages"] == "plain" and recipe.order == "easy_to_hard"


def test_rows_that_train_alike_have_one_training():
    def training(name):
        return BY_NAME[name].recipe(DEFAULT, 0)

    for name in ("easy_only", "easy_and_medium", "full_vote", "random_specialty", "gold_specialty"):
        assert training(name) == training("full")
    assert training("without_c_marl") == training("shuffled-constant")
    assert training("paper") != training("plain-dropped")


def test_every_baseline_has_its_row():
    wanted = {
        "full", "paper", "start", "no_attending_rl", "without_c_marl", "easy_only",
        "easy_and_medium", "supervised_with_opinions", "supervised_without_opinions",
        "without_specialists", "self_vote", "full_vote", "random_specialty", "all_specialties",
        "gold_specialty", "triage_classifier",
    }  # fmt: skip
    assert wanted <= set(BY_NAME)
