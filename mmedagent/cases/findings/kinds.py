"""The kinds of findings: what each one means, whether it stops a run, and what mends it."""

from collections.abc import Mapping
from dataclasses import dataclass

from mmedagent.recipes.data import FindingKind, Policy, ValidationRecipe


@dataclass(frozen=True)
class Kind:
    """One kind of finding."""

    title: str
    meaning: str
    """Why it matters, in a sentence."""
    mend: str
    default: Policy
    column: str
    """The column of the fact table that holds it: what the expectation suite looks at."""


KINDS: Mapping[FindingKind, Kind] = {
    "same_image": Kind(
        "The same image in two pools",
        "A figure measured on images that were learned from says nothing about new ones.",
        "Leave the image out of one pool, or split by image or subject.",
        "stop",
        "same_image_as",
    ),
    "same_pixels": Kind(
        "The same pixels in two pools",
        "The file was renamed or encoded anew without loss: its bytes differ, its pixels do not.",
        "Leave one of the two out.",
        "stop",
        "similar_image_to",
    ),
    "near_duplicate": Kind(
        "Nearly the same picture in two pools",
        "A scaled or recompressed copy, or the neighbouring slice of one series, is no new image.",
        "Leave one of the two out, or split by series.",
        "stop",
        "similar_image_to",
    ),
    "crowded_hashes": Kind(
        "Pictures too alike to compare",
        "So many images share a part of their perceptual hash that the search for near duplicates"
        " left them out.",
        "Raise `validation.max_crowd`, or look at the images: most are blank or of one template.",
        "warn",
        "",
    ),
    "hidden_case": Kind(
        "A test case hidden in a learning pool",
        "The same picture, question and answer are learned from and measured on.",
        "Leave the case out of the learning pool.",
        "stop",
        "same_case_as",
    ),
    "subject_in_pools": Kind(
        "The same subject in two pools",
        "Images of one patient resemble each other: pools are disjoint by subject.",
        "Split by subject, or review it when there is no second subject.",
        "stop",
        "subject_also_in",
    ),
    "contradiction": Kind(
        "One question, two answers",
        "The same question about the same image has different gold answers: one of them is wrong.",
        "Correct or leave out one of the cases.",
        "stop",
        "contradicts",
    ),
    "answer_in_question": Kind(
        "The question gives the answer away",
        "The right answer's words stand in the question and no other option's do.",
        "Reword the question or leave it out.",
        "warn",
        "answer_in_question",
    ),
    "constant_image": Kind(
        "An image of one value",
        "Every pixel is the same: a failed export, or an empty slice.",
        "Leave the case out, or export the image again.",
        "stop",
        "blank_image",
    ),
    "blank_image": Kind(
        "A blank image",
        "There is next to no contrast: nothing can be seen on it.",
        "Look at it; check the window it was rendered with.",
        "warn",
        "blank_image",
    ),
    "specialty_imbalance": Kind(
        "A rare specialty",
        "Reinforcement learning lets classes go to zero that are rare in the train pool.",
        "Take more cases of it, or fewer of the commonest one.",
        "stop",
        "imbalance",
    ),
    "answer_share": Kind(
        "One answer is nearly always right",
        "A question type with one answer teaches to ignore the image.",
        "Take more cases with other answers, or leave the question type out.",
        "stop",
        "answer_share",
    ),
    "option_order": Kind(
        "The right letter is no chance",
        "One letter is right more often than shuffled options explain: a model learns the letter.",
        "Shuffle the options anew.",
        "warn",
        "option_order",
    ),
    "drift": Kind(
        "A distribution moved",
        "Cases differ from those of the version before more than chance explains.",
        "Ask where the new cases come from; accept the new distribution when it is meant.",
        "warn",
        "",
    ),
    "label_noise": Kind(
        "The panel against gold",
        "Every specialist chose the same answer, and gold is another: the label may be wrong.",
        "Look at the case; correct its answer or leave it out.",
        "warn",
        "",
    ),
}
"""Every kind of finding, in the order of the page."""


def policy_of(kind: FindingKind, recipe: ValidationRecipe) -> Policy:
    """Return what a finding of `kind` does by this recipe."""
    return recipe.policy.get(kind, KINDS[kind].default)
