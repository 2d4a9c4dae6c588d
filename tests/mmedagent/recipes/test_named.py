"""The named recipes, spelt out: a changed value shows in a diff before it shows in a run."""

from pathlib import Path

import pytest

from mmedagent.errors import UsageError
from mmedagent.recipes.named import RECIPES
from mmedagent.recipes.resolve import resolve, spell_out
from mmedagent.recipes.schema import Recipe
from mmedagent.recipes.training import AttendingRecipe

SNAPSHOTS = Path(__file__).parent / "snapshots"


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_what_its_snapshot_says(name: str) -> None:
    path = SNAPSHOTS / f"{name}.yaml"
    assert path.read_text() == spell_out(resolve(name)), (
        f"meant? then `mmedagent recipe {name} > {path.relative_to(Path.cwd())}`"
    )


def test_the_snapshots_are_the_recipes() -> None:
    assert {path.stem for path in SNAPSHOTS.iterdir()} == set(RECIPES)


def test_a_recipe_read_back_is_the_same_recipe() -> None:
    for name in RECIPES:
        recipe = resolve(name)
        assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe


def test_the_cluster_recipe_is_the_papers() -> None:
    """METHOD, sections 'Training' and 'Curriculum (C-MARL)'."""
    recipe = resolve("cluster")
    for training in (recipe.training.triage, recipe.training.attending):
        assert (training.prompts_per_step, training.generations) == (128, 8)
        assert training.learning_rate == 1e-6 and training.temperature == 1.0
        assert training.lora is None and training.deepspeed and training.deepspeed.stage == 3
    attending = recipe.training.attending
    assert attending.stages == "plain" and attending.order == "easy_to_hard"
    assert not attending.drop_groups_without_variance and attending.kl_reference == "stage"
    table = attending.coefficients.model_dump()
    assert [(row["entropy"], row["kl"]) for row in table.values()] == [
        (0.0001, 0.001),
        (0.005, 0.004),
        (0.03, 0.01),
    ]


def test_pretrained_recipes_ask_open_weights_and_pin_their_base() -> None:
    for name in ("one-gpu", "cluster"):
        recipe = resolve(name)
        assert all(each.endpoint and each.model for each in recipe.panel.specialists)
        assert recipe.model.revision and len(recipe.model.revision) == 40
        assert recipe.warm_start.triage.fit.steps == recipe.warm_start.attending.fit.steps == 0


@pytest.mark.parametrize(
    ("name", "overrides", "parts"),
    [
        ("one-gpu", ["training.attending.kl_reference=start"], ["kl_reference", "lora=null"]),
        ("one-gpu", ["training.triage.freeze_vision=false"], ["freeze_vision=true"]),
        ("one-gpu", ["training.triage.deepspeed={stage: 2}"], ["lora with deepspeed"]),
        ("one-gpu", ["training.triage.lora=null"], ["bfloat16", "dtype=float32"]),
        ("cluster", ["training.triage.processes=3"], ["128", "processes 3"]),
        ("cluster", ["training.triage.micro_batch=7"], ["micro_batch 7", "128 completions"]),
        (
            "cluster",
            ["training.triage.deepspeed={stage: 2, offload_weights: true}"],
            ["offload_weights needs stage 3"],
        ),
        ("cluster", ["training.triage.vllm.mode=server"], ["server_url None"]),
        ("laptop", ["training.triage.lora={rank: 0}"], ["training.triage.lora.rank"]),
    ],
)
def test_fields_that_do_not_fit_say_which_and_how_to_mend_it(
    name: str, overrides: list[str], parts: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(name, overrides)
    for part in parts:
        assert part in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_section_may_be_set_whole_or_taken_away() -> None:
    changed = resolve(
        "one-gpu", ["training.triage.lora={rank: 4}", "training.attending.micro_batch=null"]
    )
    assert changed.training.triage.lora and changed.training.triage.lora.rank == 4
    assert changed.training.attending.micro_batch is None
    without = resolve("cluster", ["training.triage.vllm=null"]).training.triage
    assert without.vllm is None and without.distributed
    assert without.rows_per_process == 128
    assert not AttendingRecipe().distributed
