import pytest
import torch

from mmedagent import progress
from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import triage_messages
from mmedagent.errors import BadDataError, MMedAgentError
from mmedagent.models.load import load_model, load_processor
from mmedagent.recipes.training import SupervisedRecipe
from mmedagent.training.completions import triage_completion
from mmedagent.training.loop import _batches, _learning_rate
from mmedagent.training.supervised import Example, fit

RECIPE = SupervisedRecipe(steps=6, batch_size=4, checkpoint_every=2)


@pytest.fixture
def examples(draw_cases):
    return [
        Example(Prompt(triage_messages(c.view(), "compact"), c.images), triage_completion(c))
        for c in draw_cases(10, "warm_start")
    ]


def _run(base, examples, recipe=RECIPE, **options):
    model, processor = load_model(base), load_processor(base)
    done = fit(model, processor, examples, recipe, **{"seed": 1, **options})
    return done, {name: value.clone() for name, value in model.state_dict().items()}


def _same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_it_learns_and_the_same_seed_gives_the_same_weights(tiny_base, examples):
    recipe = SupervisedRecipe(steps=25, batch_size=8)
    done, weights = _run(tiny_base, examples, recipe)
    assert done.steps == 25 and done.losses[-1] < 0.2 * done.losses[0]
    assert _same(weights, _run(tiny_base, examples, recipe)[1])
    assert not _same(weights, _run(tiny_base, examples, recipe, seed=2)[1])


@pytest.mark.parametrize("dies_at", [1, 3, 5])
def test_a_loop_that_died_goes_on_to_the_same_weights(
    tiny_base, examples, tmp_path, monkeypatch, dies_at
):
    whole, weights = _run(tiny_base, examples)

    def die(done, total, text=""):
        if done == dies_at:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(progress, "tell", die)
        with pytest.raises(KeyboardInterrupt):
            _run(tiny_base, examples, work=tmp_path)
    resumed, again = _run(tiny_base, examples, work=tmp_path)
    assert resumed.losses == whole.losses
    assert _same(weights, again)


def test_weights_decide_what_is_drawn():
    recipe = SupervisedRecipe(steps=50, batch_size=8)
    drawn = {i for batch in _batches(4, recipe, 0, [0.0, 1.0, 0.0, 3.0]) for i in batch}
    assert drawn == {1, 3}


def test_epochs_show_each_example_once():
    recipe = SupervisedRecipe(steps=5, batch_size=4)
    flat = [i for batch in _batches(10, recipe, 0, None) for i in batch]
    assert sorted(flat[:10]) == list(range(10)) == sorted(flat[10:])


def test_the_learning_rate_warms_up_and_then_stays_or_falls_to_nothing():
    def rates(**fields):
        recipe = SupervisedRecipe(steps=20, learning_rate=1.0, warmup_steps=4, **fields)
        return [_learning_rate(recipe, step) for step in range(20)]

    assert rates()[:5] == [0.25, 0.5, 0.75, 1.0, 1.0] and set(rates()[4:]) == {1.0}
    falling = rates(schedule="cosine")
    assert falling[:5] == rates()[:5]
    assert falling[4:] == sorted(falling[4:], reverse=True)
    assert falling[12] == pytest.approx(0.5) and 0 < falling[-1] < 0.02
    assert _learning_rate(SupervisedRecipe(learning_rate=1.0, warmup_steps=0), 0) == 1.0


def test_a_loss_that_is_no_number_stops(tiny_base, examples):
    with pytest.raises(MMedAgentError, match="step .*loss is"):
        _run(tiny_base, examples, SupervisedRecipe(steps=20, learning_rate=1e30, warmup_steps=0))


def test_no_examples_is_bad_data(tiny_base):
    with pytest.raises(BadDataError, match="no examples"):
        _run(tiny_base, [])
