"""What the laptop's specialists are taught: kinds of question, and to depend on their role."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from mmedagent.cases.case import SPECIALTIES, Case, Specialty
from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import Style, specialist_messages
from mmedagent.errors import BadDataError
from mmedagent.recipes.panel import PanelTrainingRecipe, SpecialistTrainingRecipe
from mmedagent.training.completions import option_completion
from mmedagent.training.supervised import Example


@dataclass(frozen=True)
class Lesson:
    """An example and how often it is shown, in proportion to the others' weights."""

    example: Example
    weight: float


def lessons(
    cases: Sequence[Case], specialist: SpecialistTrainingRecipe, recipe: PanelTrainingRecipe
) -> list[Lesson]:
    """Return what one specialist is shown of `cases`: each in its right role and in every other.

    The weights make the mixture that the recipe asks for: the specialist's `weak_share` are of
    types that it is not strong in, `wrong_role_share` are asked in a wrong role.

    Raises `BadDataError` when no case is of a type that the specialist is to be strong in.
    """
    strong = [case for case in cases if case.question_type in specialist.strong]
    weak = [case for case in cases if case.question_type not in specialist.strong]
    if not strong:
        there = ", ".join(sorted({case.question_type for case in cases})) or "none"
        raise BadDataError(
            f"specialist {specialist.name} is to be strong in {', '.join(specialist.strong)}; the"
            f" panel pool has questions of type {there}"
        )
    draw = random.Random(specialist.seed)
    taught: list[Lesson] = []
    weak_share = specialist.weak_share if weak else 0.0
    for group, share in ((strong, 1.0 - weak_share), (weak, weak_share)):
        for case in group:
            taught += _of_case(case, share / len(group), recipe, draw)
    return taught


def _of_case(
    case: Case, weight: float, recipe: PanelTrainingRecipe, draw: random.Random
) -> list[Lesson]:
    right = _example(case, case.specialty, case.letter)
    taught = [Lesson(right, weight * (1.0 - recipe.wrong_role_share))]
    others = [role for role in SPECIALTIES if role != case.specialty]
    for role in others:
        letter = case.letter
        if draw.random() < recipe.wrong_role_noise:
            letter = draw.choice(case.view().letters)
        example = _example(case, role, letter)
        taught.append(Lesson(example, weight * recipe.wrong_role_share / len(others)))
    return taught


def _example(case: Case, role: Specialty, letter: str, style: Style = "compact") -> Example:
    prompt = Prompt(specialist_messages(case.view(), role, style), case.images)
    return Example(prompt, option_completion(case, letter), case.case_id)
