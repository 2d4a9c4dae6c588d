"""The comparisons that the page declares, and the paper's claims that each is held against.

One family: Holm's correction is over all of them. Rows are those of `mmedagent.study.rows`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mmedagent.study.measures import BEST, FOLLOWED, MAJORITY

Topic = Literal["target", "curriculum", "order", "gamma", "cleaning", "routing", "learning"]
TOPICS: dict[Topic, str] = {
    "target": "What the default must beat",
    "curriculum": "The curriculum as a whole",
    "order": "Order of the stages (factorial)",
    "gamma": "Entropy schedule (factorial)",
    "cleaning": "Stages, dropped groups and the collapse",
    "routing": "Routing",
    "learning": "Opinions, learning and voting",
}
ORDERS = ("easy_to_hard", "shuffled", "hard_to_easy")
SCHEDULES = ("by_tier", "by_step", "constant", "zero")
PAPER_BETA = "easy_to_hard-by_tier-paper_beta"


@dataclass(frozen=True)
class Comparison:
    """One declared comparison: the mean of `left`'s rows minus the mean of `right`'s."""

    name: str
    topic: Topic
    title: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    figure: str = "accuracy"
    less_is_better: bool = False


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, with what decides it here."""

    text: str
    published: str
    """The paper's figures for it, or how it says so; METHOD, section 'Published figures'."""
    comparisons: tuple[str, ...] = ()
    """All must favour the left side for the claim to show. None: cannot be tested here."""
    why_not: str = ""
    """Why it cannot be tested here."""


def factorial_row(order: str, schedule: str) -> str:
    """Return the name of a row of the factorial."""
    return f"{order}-{schedule}"


def of_order(order: str) -> tuple[str, ...]:
    """Return the rows of one order, over all schedules."""
    return tuple(factorial_row(order, schedule) for schedule in SCHEDULES)


def of_schedule(schedule: str) -> tuple[str, ...]:
    """Return the rows of one schedule, over all orders."""
    return tuple(factorial_row(order, schedule) for order in ORDERS)


def _full(topic: Topic, title: str, other: str, name: str = "", **more: str) -> Comparison:
    suffix = f"_{more['figure']}" if "figure" in more else ""
    return Comparison(
        name or f"full_{other}{suffix}", topic, title, ("full",), (other,), **more  # type: ignore[arg-type]
    )  # fmt: skip


def _declared() -> Iterable[Comparison]:
    yield _full("target", "full − panel majority", MAJORITY)
    yield _full("target", "full − best specialist", BEST)
    yield _full("target", "full − start (no RL at all)", "start")
    yield _full("target", "full − supervised, with opinions", "supervised_with_opinions")
    yield _full("target", "full − supervised, without opinions", "supervised_without_opinions")
    yield Comparison(
        "trust", "target", "follows a wrong consensus: full − supervised",
        ("full",), ("supervised_with_opinions",), FOLLOWED, less_is_better=True,
    )  # fmt: skip
    yield from _curriculum()
    yield from _factorial()
    yield from _cleaning()
    yield from _routing_and_learning()


def _curriculum() -> Iterable[Comparison]:
    yield _full("curriculum", "full − no attending RL", "no_attending_rl")
    yield _full("curriculum", "full − without C-MARL", "without_c_marl")
    yield _full("curriculum", "full − easy only", "easy_only")
    yield _full("curriculum", "full − easy + medium", "easy_and_medium")
    yield Comparison(
        "medium_helps", "curriculum", "easy + medium − easy only",
        ("easy_and_medium",), ("easy_only",),
    )  # fmt: skip
    for tier in ("easy", "hard"):
        yield _full(
            "curriculum", f"{tier} cases: full − no attending RL", "no_attending_rl", figure=tier
        )
    yield _full(
        "curriculum", "hard cases: full − supervised, with opinions", "supervised_with_opinions",
        figure="hard",
    )  # fmt: skip
    yield Comparison(
        "supervised_hard", "curriculum", "hard cases: no attending RL − supervised, with opinions",
        ("no_attending_rl",), ("supervised_with_opinions",), "hard",
    )  # fmt: skip


def _factorial() -> Iterable[Comparison]:
    for other in ("shuffled", "hard_to_easy"):
        yield Comparison(
            f"order_{other}", "order", f"easy to hard − {other.replace('_', ' ')}",
            of_order("easy_to_hard"), of_order(other),
        )  # fmt: skip
    for other, shown in (("zero", "none"), ("constant", "constant"), ("by_step", "by step")):
        yield Comparison(
            f"gamma_{other}", "gamma", f"gamma by tier − gamma {shown}",
            of_schedule("by_tier"), of_schedule(other),
        )  # fmt: skip
    yield Comparison(
        "beta", "gamma", "beta by tier (the paper's) − beta constant",
        (PAPER_BETA,), (factorial_row("easy_to_hard", "by_tier"),),
    )  # fmt: skip


def _routing_and_learning() -> Iterable[Comparison]:
    yield _full("routing", "full − random specialty", "random_specialty")
    yield _full("routing", "full − all specialties", "all_specialties")
    yield _full("routing", "full − gold specialty (oracle)", "gold_specialty")
    yield _full("routing", "full − triage by a plain classifier", "triage_classifier")
    yield _full("routing", "full − triage by supervised fine-tuning", "triage_supervised")
    yield _full("learning", "full − without specialists", "without_specialists")
    yield Comparison(
        "supervised_opinions", "learning", "supervised: with opinions − without",
        ("supervised_with_opinions",), ("supervised_without_opinions",),
    )  # fmt: skip
    yield Comparison(
        "full_vote", "learning", "full: samples vote − greedy", ("full_vote",), ("full",)
    )
    yield Comparison(
        "self_vote", "learning", "without specialists: samples vote − greedy",
        ("self_vote",), ("without_specialists",),
    )  # fmt: skip
    yield _full("learning", "full − one model's samples vote", "self_vote")


def _cleaning() -> Iterable[Comparison]:
    plain, cumulative = ("paper", "plain-dropped"), ("cumulative-kept", "cumulative-dropped")
    kept, dropped = ("paper", "cumulative-kept"), ("plain-dropped", "cumulative-dropped")
    yield Comparison(
        "collapse", "cleaning", "the paper's plain stages − no attending RL",
        ("paper",), ("no_attending_rl",),
    )  # fmt: skip
    yield Comparison(
        "cumulative", "cleaning", "cumulative stages − plain stages", cumulative, plain
    )
    yield Comparison("dropped", "cleaning", "groups dropped − kept", dropped, kept)
    yield Comparison(
        "plain_zero", "cleaning", "plain stages: gamma none − gamma by tier",
        ("plain-kept-zero",), ("paper",),
    )  # fmt: skip
    yield Comparison(
        "plain_replay", "cleaning", "plain stages: half replayed − none",
        ("plain-kept-replay",), ("paper",),
    )  # fmt: skip
    yield _full("cleaning", "full − the paper's plain stages", "paper")


COMPARISONS: tuple[Comparison, ...] = tuple(_declared())

CLAIMS: tuple[Claim, ...] = (
    Claim("Reinforcement learning lifts the attending over its start",
          "base model 62.3, full 73.3 in domain", ("full_start", "full_no_attending_rl")),
    Claim("The trained attending beats every single specialist and a vote of them",
          "one specialist 60.7, full 73.3 (mean of four sets)",
          ("full_best_specialist", "full_panel_majority")),
    Claim("Without triage it is worse", "66.3 for 71.5 (VQA-RAD)", ("full_random_specialty",)),
    Claim("Without specialists it is worse", "65.8 for 71.5 (VQA-RAD)",
          ("full_without_specialists",)),
    Claim("Without C-MARL it is worse", "63.5 for 71.5 (VQA-RAD)", ("full_without_c_marl",)),
    Claim("Each stage adds: easy, then medium, then hard", "64.7, 69.4, 71.5 (VQA-RAD)",
          ("medium_helps", "full_easy_and_medium")),
    Claim("Easy before hard is the order that helps", "theory: each stage warms up the next",
          ("order_shuffled", "order_hard_to_easy")),
    Claim("Entropy should grow with a case's difficulty", "gamma 0.0001, 0.005, 0.03 by tier",
          ("gamma_zero", "gamma_constant")),
    Claim("The paper's plain stages lift the attending over its start",
          "the published schedule", ("collapse",)),
    Claim("Supervised training learns to trust bad advice",
          "hard cases: untrained 47, supervised 42", ("supervised_hard",)),
    Claim("C-MARL corrects a misleading consensus where supervision follows it",
          "hard cases: supervised 42, C-MARL 51", ("full_supervised_with_opinions_hard", "trust")),
    Claim("C-MARL gains on hard cases over the untrained attending",
          "hard cases: 47, 51", ("full_no_attending_rl_hard",)),
    Claim("C-MARL gains on easy cases too", "easy cases: 60, 73",
          ("full_no_attending_rl_easy",)),
    Claim("A majority vote over samples adds", "73.3, with votes 76.1 (in domain)",
          ("full_vote",)),
    Claim("It beats GPT-4o and published medical models", "68.6 (GPT-4o) for 73.3",
          why_not="needs those models and the public test sets"),
    Claim("It carries over to data sets it was not trained on",
          "OmniMedVQA and MMMU-Med 72.6",
          why_not="the starter data has no second domain, and a tiny model no general knowledge"),
    Claim("A stronger panel lifts the attending", "three o3 specialists: 73.0, one small one 60.7",
          why_not="one panel was trained; a study over panels of several strengths is not part"),
)  # fmt: skip
