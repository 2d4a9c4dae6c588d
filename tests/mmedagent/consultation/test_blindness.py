"""No doctor sees gold, tier, or which specialist tends to be right: METHOD, point 5 of what readers
found missing. Whatever is hidden in a case, what is asked about it is the same, byte for byte."""

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mmedagent.cases.case import POOLS, SPECIALTIES, Case, Opinion, Question, Specialty
from mmedagent.consultation.consult import consult
from mmedagent.consultation.doctor import Prompt, Sampling
from mmedagent.consultation.prompts import Style
from mmedagent.panel.table import Tier
from mmedagent.recipes.training import AttendingRecipe
from mmedagent.training.attending import stage_tasks

OPTIONS = ("CT", "MR", "X-ray")
ROLE: Specialty = "Radiologist"
words = st.text(st.characters(categories=["L", "N", "P", "Z"]), min_size=1, max_size=20)
letters = st.sampled_from(["A", "B", "C", None])
styles = st.sampled_from(["compact", "full"])
opinions = st.lists(
    st.builds(
        Opinion, specialist=words, role=st.just(ROLE), letter=letters, reasoning=words, raw=words
    ),
    min_size=3,
    max_size=3,
)
hidden = st.fixed_dictionaries(
    {
        "case_id": words,
        "answer": st.sampled_from(OPTIONS),
        "question_type": words,
        "modality": words,
        "specialty": st.sampled_from(SPECIALTIES),
        "source": words,
        "subject": words,
        "pool": st.sampled_from(POOLS),
    }
)


class Listening:
    """A doctor and panel that answer without knowledge and keep every byte they were given."""

    def __init__(self, said: Sequence[Opinion]) -> None:
        self.said = tuple(said)
        self.heard: list[Any] = []

    def reply(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        self.heard += [_bytes(prompt) for prompt in prompts]
        return [f"<think>x</think><answer>{ROLE}</answer>" for _ in prompts]

    def opinions(
        self, questions: Sequence[Question], roles: Sequence[Specialty]
    ) -> list[tuple[Opinion, ...]]:
        self.heard += [question.model_dump() for question in questions] + list(roles)
        return [self.said for _ in questions]


def _bytes(prompt: Prompt) -> tuple[bytes, tuple[bytes, ...]]:
    return json.dumps(prompt.messages).encode(), prompt.images


def _case(secrets: dict[str, Any]) -> Case:
    return Case(images=(b"image",), question="Which modality?", options=OPTIONS, **secrets)


@given(one=hidden, other=hidden, said=opinions, style=styles)
def test_a_consultation_hears_nothing_that_a_case_hides(
    one: dict[str, Any], other: dict[str, Any], said: list[Opinion], style: Style
) -> None:
    heard = []
    for secrets in (one, other):
        ears = Listening(said)
        consult([_case(secrets).view()], ears, ears, ears, Sampling(), style, votes=2)
        heard.append(ears.heard)
    assert heard[0] == heard[1] and len(heard[0]) == 5


@given(
    one=hidden,
    other=hidden,
    said=opinions,
    names=st.lists(words, min_size=3, max_size=3),
    tiers=st.tuples(*[st.sampled_from(["easy", "medium", "hard"])] * 2),
    style=styles,
)
@settings(deadline=None)
def test_training_shows_the_attending_no_more_than_serving(
    one: dict[str, Any],
    other: dict[str, Any],
    said: list[Opinion],
    names: list[str],
    tiers: tuple[Tier, Tier],
    style: Style,
) -> None:
    """Tier and specialists' names neither: gold moves the reward, the tier moves gamma and beta."""
    recipe = AttendingRecipe(style=style)
    renamed = [
        opinion.model_copy(update={"specialist": name})
        for opinion, name in zip(said, names, strict=True)
    ]
    prompts = []
    for secrets, tier, heard in ((one, tiers[0], said), (other, tiers[1], renamed)):
        [task] = stage_tasks("hard", [_case(secrets)], [tier], [heard], recipe)
        assert task.entropy == getattr(recipe.coefficients, tier).entropy
        prompts.append(_bytes(task.prompt))
    ears = Listening(renamed)
    consult([_case(one).view()], ears, ears, ears, Sampling(), style)
    assert prompts[0] == prompts[1] == ears.heard[-1]
