import pytest
import torch

from mmedagent import progress
from mmedagent.cases.store import write_cases
from mmedagent.consultation.consult import route
from mmedagent.consultation.doctor import Sampling
from mmedagent.errors import BadDataError
from mmedagent.models.classifier import TriageClassifier
from mmedagent.models.generate import LocalDoctor
from mmedagent.recipes.baselines import SupervisedTriageRecipe, TriageClassifierRecipe
from mmedagent.recipes.training import SupervisedRecipe
from mmedagent.training.triage_classifier import (
    fit_classifier,
    train_supervised_triage,
    train_triage_classifier,
)

SHORT = SupervisedRecipe(steps=4, batch_size=8, checkpoint_every=2)


def accuracy(doctor, cases):
    routings = route([c.view() for c in cases], doctor, Sampling(max_new_tokens=12), "compact")
    pairs = zip(routings, cases, strict=True)
    return sum(routing.specialty == case.specialty for routing, case in pairs) / len(cases)


@pytest.fixture
def cases(draw_cases, tmp_path):
    write_cases(tmp_path / "cases", "d", draw_cases(60, "train") + draw_cases(40, "test"))
    return tmp_path / "cases"


def test_it_learns_specialties_from_images_it_has_not_seen(cases, draw_cases, tiny_base, tmp_path):
    recipe = TriageClassifierRecipe(fit=SupervisedRecipe(steps=40, batch_size=16))
    facts = train_triage_classifier(cases, tiny_base, recipe, tmp_path / "out", tmp_path / "work")
    assert facts["steps"] == 40 and facts["cases"] <= 60 and facts["loss"] < 0.5
    assert accuracy(TriageClassifier.load(tmp_path / "out"), draw_cases(40, "test")) > 0.9
    again = train_triage_classifier(cases, tiny_base, recipe, tmp_path / "2", tmp_path / "w2")
    assert again["digest"] == facts["digest"]


def test_a_frozen_tower_keeps_its_weights(draw_cases, tiny_base):
    pool = draw_cases(12, "train")
    taught = {
        train: fit_classifier(
            pool, tiny_base, TriageClassifierRecipe(fit=SHORT, train_tower=train)
        )[0].net.state_dict()
        for train in (True, False)
    }
    untaught, _ = fit_classifier(
        pool, tiny_base, TriageClassifierRecipe(fit=SHORT.model_copy(update={"steps": 0}))
    )
    for name, value in untaught.net.state_dict().items():
        assert torch.equal(value, taught[False][name]) == name.startswith("tower")
    assert any(not torch.equal(taught[True][n], v) for n, v in taught[False].items())


@pytest.mark.parametrize(
    ("train", "recipe"),
    [
        (train_triage_classifier, TriageClassifierRecipe(fit=SHORT)),
        (train_supervised_triage, SupervisedTriageRecipe(fit=SHORT)),
    ],
)
def test_killed_it_goes_on_to_the_same_weights(
    cases, tiny_base, tmp_path, monkeypatch, train, recipe
):
    whole = train(cases, tiny_base, recipe, tmp_path / "whole", tmp_path / "w")

    def die(done, total, text=""):
        if done == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(progress, "tell", die)
        train(cases, tiny_base, recipe, tmp_path / "out", tmp_path / "work")
    assert not (tmp_path / "out").exists()
    resumed = train(cases, tiny_base, recipe, tmp_path / "out", tmp_path / "work")
    assert resumed["digest"] == whole["digest"]


def test_the_doctor_itself_can_be_fine_tuned(cases, draw_cases, tiny_base, tmp_path):
    recipe = SupervisedTriageRecipe(
        fit=SupervisedRecipe(steps=40, batch_size=16, learning_rate=2e-3)
    )
    train_supervised_triage(cases, tiny_base, recipe, tmp_path / "out", tmp_path / "work")
    assert accuracy(LocalDoctor(tmp_path / "out"), draw_cases(40, "test")) > 0.6


def test_an_empty_pool_is_bad_data(draw_cases, tiny_base, tmp_path):
    write_cases(tmp_path / "cases", "d", draw_cases(4, "test"))
    paths = (tmp_path / "out", tmp_path / "work")
    with pytest.raises(BadDataError, match="no cases"):
        train_triage_classifier(tmp_path / "cases", tiny_base, TriageClassifierRecipe(), *paths)
    with pytest.raises(BadDataError, match="no examples"):
        train_supervised_triage(tmp_path / "cases", tiny_base, SupervisedTriageRecipe(), *paths)
