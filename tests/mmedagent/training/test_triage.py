import pytest

from mmedagent.cases.store import write_cases
from mmedagent.errors import BadDataError
from mmedagent.recipes.training import SupervisedRecipe, TriageRecipe, WarmStartRecipe
from mmedagent.training import triage
from mmedagent.training.triage import train_triage
from mmedagent.training.warm_start import warm_start


def test_warm_start_balances_and_measures_on_cases_it_did_not_see(draw_cases, tiny_base, tmp_path):
    write_cases(tmp_path / "cases", "d", draw_cases(30, "warm_start") + draw_cases(30, "train"))
    recipe = WarmStartRecipe(cases=16, fit=SupervisedRecipe(steps=40, batch_size=16))
    results = [
        warm_start(
            "triage", tmp_path / "cases", None, tiny_base, recipe, tmp_path / n, tmp_path / w
        )
        for n, w in (("one", "w1"), ("two", "w2"))
        if not (tmp_path / w).mkdir()
    ]
    for facts in results:
        facts.pop("fit_seconds")
    assert results[0] == results[1]
    assert results[0]["cases"] == 16 and results[0]["measured_cases"] == 30
    assert results[0]["greedy_accuracy"] > 0.5


def test_an_empty_pool_is_bad_data(draw_cases, tiny_base, tmp_path):
    write_cases(tmp_path / "cases", "d", draw_cases(4, "train"))
    with pytest.raises(BadDataError, match="warm_start pool is empty"):
        warm_start(
            "triage",
            tmp_path / "cases",
            None,
            tiny_base,
            WarmStartRecipe(),
            tmp_path / "o",
            tmp_path,
        )


def test_the_pool_is_thinned_and_the_coefficients_are_the_recipes(
    draw_cases, tiny_start, tmp_path, monkeypatch
):
    rare = [c for c in draw_cases(60, "train") if c.specialty == "Dermatologist"][:3]
    many = [c for c in draw_cases(60, "train", 1) if c.specialty == "Radiologist"][:12]
    write_cases(tmp_path / "cases", "d", rare + many)
    handed = []

    def note(tasks, judge, start, recipe, steps, **options):
        handed.extend(tasks)
        return {"stage": options["stage"], "steps": steps}

    monkeypatch.setattr(triage, "train", note)
    recipe = TriageRecipe(kl=0.5, entropy=0.25, steps=7)
    facts = train_triage(tmp_path / "cases", tiny_start, recipe, tmp_path / "o", tmp_path / "w")
    assert facts == {"stage": "triage", "steps": 7}
    specialties = [task.case.specialty for task in handed]
    assert specialties.count("Dermatologist") == 3 and specialties.count("Radiologist") == 6
    assert {(task.entropy, task.kl) for task in handed} == {(0.25, 0.5)}
