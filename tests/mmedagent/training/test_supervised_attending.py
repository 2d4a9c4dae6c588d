import pytest

from mmedagent import progress
from mmedagent.cases.store import read_cases, write_cases
from mmedagent.consultation.consult import decide
from mmedagent.consultation.doctor import Sampling
from mmedagent.errors import BadDataError
from mmedagent.models.generate import LocalDoctor
from mmedagent.panel.table import read_opinions
from mmedagent.recipes.baselines import SupervisedAttendingRecipe
from mmedagent.recipes.training import SupervisedRecipe
from mmedagent.training.supervised_attending import (
    attending_examples,
    train_supervised_attending,
)

SHORT = SupervisedRecipe(steps=4, batch_size=4, checkpoint_every=2)


def text(example):
    return example.prompt.messages[0]["content"][1]["text"]


def test_opinions_are_in_the_prompt_or_are_not(tables):
    pool = read_cases(tables / "cases", ["train"])
    said = read_opinions(tables / "opinions")
    heard = attending_examples(pool, said, SupervisedAttendingRecipe())
    alone = attending_examples(pool, {}, SupervisedAttendingRecipe(opinions=False))
    for case, one, other in zip(pool, heard, alone, strict=True):
        letters = " ".join(f"{n} {o.letter}" for n, o in enumerate(said[case.case_id], 1))
        assert text(one).endswith(f"opinions: {letters}")
        assert text(other).endswith("opinions: -")
        assert one.completion == other.completion
        assert one.completion.endswith(f"<answer> {case.letter}</answer>")


def test_shuffled_options_take_gold_and_opinions_along(tables):
    pool = read_cases(tables / "cases", ["train"])
    said = read_opinions(tables / "opinions")
    recipe = SupervisedAttendingRecipe(permute_options=True)
    plain = attending_examples(pool, said, SupervisedAttendingRecipe())
    shuffled = attending_examples(pool, said, recipe)
    assert [text(e) for e in plain] != [text(e) for e in shuffled]
    for case, example in zip(pool, shuffled, strict=True):
        letter = example.completion.split("<answer> ")[1][0]
        assert f" {letter} {case.answer}" in text(example)


def test_it_teaches_gold_answers(tables, tiny_base, tmp_path):
    recipe = SupervisedAttendingRecipe(
        fit=SupervisedRecipe(steps=60, batch_size=9, learning_rate=2e-3)
    )
    facts = train_supervised_attending(
        tables / "cases",
        tables / "opinions",
        tiny_base,
        recipe,
        tmp_path / "one",
        tmp_path / "work",
    )
    assert facts["steps"] == 60 and facts["cases"] == 9 and facts["loss"] < 0.3
    pool = read_cases(tables / "cases", ["train"])
    said = read_opinions(tables / "opinions")
    decisions = decide(
        [case.view() for case in pool],
        [said[case.case_id] for case in pool],
        LocalDoctor(tmp_path / "one"),
        Sampling(max_new_tokens=12),
        "compact",
    )
    pairs = zip(decisions, pool, strict=True)
    assert sum(decision.letter == case.letter for decision, case in pairs) >= 7


@pytest.mark.parametrize("opinions", [True, False])
def test_killed_it_goes_on_to_the_same_weights(tables, tiny_base, tmp_path, monkeypatch, opinions):
    recipe = SupervisedAttendingRecipe(opinions=opinions, fit=SHORT)
    said = tables / "opinions" if opinions else None

    def train(out, work):
        return train_supervised_attending(
            tables / "cases", said, tiny_base, recipe, tmp_path / out, tmp_path / work
        )

    whole = train("whole", "w")

    def die(done, total, text=""):
        if done == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(progress, "tell", die)
        train("out", "work")
    assert not (tmp_path / "out").exists()
    assert train("out", "work")["digest"] == whole["digest"]


def test_a_case_without_opinions_is_named(tables, tiny_base, tmp_path, draw_cases):
    def train(cases, opinions):
        return train_supervised_attending(
            cases, opinions, tiny_base, SupervisedAttendingRecipe(), tmp_path / "o", tmp_path / "w"
        )

    with pytest.raises(BadDataError, match="needs the panel's opinions"):
        train(tables / "cases", None)
    write_cases(tmp_path / "more", "d", draw_cases(3, "train", seed=9))
    with pytest.raises(BadDataError, match="3 training cases have no opinions, the first 'train-9"):
        train(tmp_path / "more", tables / "opinions")
