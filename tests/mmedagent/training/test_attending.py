import pytest
import yaml

from mmedagent.digests import digest_folder
from mmedagent.errors import BadDataError
from mmedagent.panel.table import Placement, write_curriculum, write_opinions
from mmedagent.recipes.training import STAGES, AttendingRecipe, StageSteps, WarmStartRecipe
from mmedagent.training import attending
from mmedagent.training.attending import coefficients_of, tiers_of, train_stage
from mmedagent.training.curves import read_curves
from mmedagent.training.warm_start import warm_start

TWO = StageSteps(easy=2, medium=2, hard=2)
SMALL = AttendingRecipe(prompts_per_step=2, generations=4, steps=TWO, max_new_tokens=8)


def _stage(tables, stage, weights, recipe=SMALL, name="out"):
    return train_stage(
        stage, tables / "cases", tables / "opinions", tables / "curriculum", weights, recipe,
        tables / name, tables / f"work-{name}",
    )  # fmt: skip


def test_coefficients_are_the_papers():
    golden = yaml.safe_load(
        """
        easy: {entropy: 0.0001, kl: 0.001}
        medium: {entropy: 0.005, kl: 0.004}
        hard: {entropy: 0.03, kl: 0.01}
        """
    )
    assert AttendingRecipe().coefficients.model_dump() == golden
    for stage in STAGES:
        found = coefficients_of(stage, {"easy": 1}, AttendingRecipe())
        assert {tier: pair.model_dump() for tier, pair in found.items()} == golden


def test_stages_cumulative_by_default_and_plain_on_request():
    recipe = AttendingRecipe()
    assert [tiers_of(stage, recipe) for stage in STAGES] == [
        ("easy",),
        ("easy", "medium"),
        ("easy", "medium", "hard"),
    ]
    plain = AttendingRecipe(stages="plain")
    assert [tiers_of(stage, plain) for stage in STAGES] == [("easy",), ("medium",), ("hard",)]


@pytest.mark.parametrize("stages", ["cumulative", "plain"])
def test_each_case_keeps_its_own_tiers_coefficients(tables, tiny_base, monkeypatch, stages):
    handed = {}

    def note(tasks, judge, start, recipe, steps, **options):
        handed[options["stage"]] = [(task.entropy, task.kl) for task in tasks]
        return {}

    monkeypatch.setattr(attending, "train", note)
    for stage in STAGES:
        _stage(tables, stage, tiny_base, SMALL.model_copy(update={"stages": stages}))
    easy, medium, hard = (0.0001, 0.001), (0.005, 0.004), (0.03, 0.01)
    if stages == "plain":
        assert handed == {"easy": [easy] * 3, "medium": [medium] * 3, "hard": [hard] * 3}
    else:
        assert handed["easy"] == [easy] * 3
        assert sorted(handed["medium"]) == [easy] * 3 + [medium] * 3
        assert sorted(handed["hard"]) == [easy] * 3 + [medium] * 3 + [hard] * 3


def test_warm_start_then_a_stage_for_real(tables, tiny_base):
    recipe = WarmStartRecipe.model_validate(
        {"alone": {"steps": 3, "batch_size": 4}, "fit": {"steps": 3, "batch_size": 4}}
    )
    facts = warm_start(
        "attending", tables / "cases", tables / "opinions", tiny_base, recipe,
        tables / "start", tables,
    )  # fmt: skip
    assert facts["alone_steps"] == facts["fit_steps"] == 3 and facts["cases"] == 9
    assert 0 <= facts["sampled_accuracy"] <= 1 and facts["cases"] == 9
    facts = _stage(tables, "medium", tables / "start")
    assert facts["tasks"] == 6 and facts["skipped"] is False
    assert len(read_curves(tables / "out/curves.jsonl")) == 2


def test_a_stage_without_cases_is_skipped_and_says_so(tables, tiny_base, caplog):
    write_curriculum(
        tables / "curriculum/curriculum.parquet",
        {f"train-0-{n}": Placement(1.0, "easy") for n in range(9)},
    )
    facts = _stage(tables, "medium", tiny_base)
    assert facts["skipped"] is True and facts["steps"] == 0
    assert "no cases of its tier" in caplog.text
    (tables / "out/curves.jsonl").unlink()
    assert digest_folder(tables / "out") == digest_folder(tiny_base)


@pytest.mark.parametrize("lacking", ["opinions", "tier"])
def test_a_case_without_opinions_or_tier_is_bad_data(tables, tiny_base, lacking):
    if lacking == "tier":
        write_curriculum(tables / "curriculum/curriculum.parquet", {})
    else:
        write_opinions(tables / "opinions/opinions.parquet", {})
    with pytest.raises(BadDataError, match=f"9 training cases have no {lacking}"):
        _stage(tables, "easy", tiny_base)


def test_the_attending_needs_opinions_to_warm_up(tables, tiny_base):
    with pytest.raises(BadDataError, match="opinions"):
        warm_start(
            "attending", tables / "cases", None, tiny_base, WarmStartRecipe(), tables / "s", tables
        )
