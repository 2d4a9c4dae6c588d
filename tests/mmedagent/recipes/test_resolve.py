import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmedagent.errors import ExitCode, UsageError
from mmedagent.recipes.params import PARAMS, render
from mmedagent.recipes.resolve import resolve


def test_an_override_reaches_its_field_and_no_other() -> None:
    plain = resolve("laptop").model_dump()
    changed = resolve("laptop", ["training.triage.steps=20"]).model_dump()
    assert changed["training"]["triage"]["steps"] == 20
    changed["training"]["triage"]["steps"] = plain["training"]["triage"]["steps"]
    assert changed == plain


def test_a_number_without_a_point_is_a_number() -> None:
    recipe = resolve("laptop", ["training.triage.learning_rate=3e-5"])
    assert recipe.training.triage.learning_rate == 3e-5


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("training.triage.step=20", ["training.triage.step", "Did you mean 'steps'?"]),
        ("trainng.triage.steps=20", ["trainng", "Did you mean 'training'?"]),
        ("training.triage.steps=many", ["training.triage.steps", "'many'"]),
        ("training.triage.steps=-1", ["training.triage.steps", "greater than"]),
        ("training.triage=20", ["training.triage", "section", "training.triage.steps"]),
        ("training.triage.steps.more=1", ["training.triage.steps is a value"]),
        ("training.triage.steps", ["path.to.field=value"]),
        ("model.style=compacted", ["model.style", "'compact', 'full'", "Did you mean 'compact'?"]),
        ("evaluation.pool=[", ["evaluation.pool", "YAML"]),
        (
            "evaluation.baselines=[self_vote, easy_onyl]",
            ["evaluation.baselines.1", "'easy_onyl'", "Did you mean 'easy_only'?"],
        ),
        ("evaluation.baselines=[self_vote, self_vote]", ["self_vote is listed twice"]),
    ],
)
def test_a_wrong_override_names_the_field_what_was_allowed_and_the_nearest(
    override: str, parts: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        resolve("laptop", [override])
    for part in parts:
        assert part in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE


def test_an_unknown_recipe_gets_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="Did you mean 'laptop'"):
        resolve("labtop")


@given(st.text(max_size=30))
def test_no_override_escapes_as_another_error(text: str) -> None:
    try:
        recipe = resolve("laptop", [text])
    except UsageError as error:
        assert "--set" in str(error) or "unknown field" in str(error)
    else:
        assert recipe.name


def test_params_yaml_is_what_the_laptop_recipe_says() -> None:
    assert PARAMS.read_text() == render(), "run `make params`"
