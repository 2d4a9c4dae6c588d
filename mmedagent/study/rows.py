"""The rows of the study: one factorial, one 2x2, the paper's own schedule, and all baselines.

METHOD, section 'What reviewers and readers found missing', items 1, 4 and 6.
"""

from typing import Any, Literal

from mmedagent.study.context import Row
from mmedagent.study.schema import Group
from mmedagent.study.spec import Spec

ORDERS = {"easy_to_hard": "easy to hard", "shuffled": "shuffled", "hard_to_easy": "hard to easy"}
SCHEDULES = {
    "by_tier": ("tier", "by tier"),
    "by_step": ("stage", "by training step"),
    "constant": ("constant", "constant"),
    "zero": ("zero", "none"),
}
"""Row name's part -> (`entropy_by`, what the page says)."""
PAPER = {
    "order": "easy_to_hard",
    "stages": "plain",
    "entropy_by": "tier",
    "kl_by": "tier",
    "drop_groups_without_variance": False,
}
"""The paper's schedule, as METHOD reads it."""
SHUFFLED = {"order": "shuffled", "entropy_by": "constant", "kl_by": "constant"}
"""Without C-MARL: shuffled cases, one gamma and one beta."""
VOTES = 8


def _row(
    name: str,
    group: Group,
    title: str,
    needs: Literal["conclusions", "rest"] = "rest",
    **spec: Any,
) -> Row:
    return Row(name, group, title, needs, Spec(**spec).model_dump(exclude_defaults=True))


def factorial() -> list[Row]:
    """Return order x gamma with beta held constant, cumulative stages, and the paper's beta."""
    rows = [
        _row(
            f"{order}-{schedule}",
            "factorial",
            f"{title}, gamma {shown}",
            "conclusions",
            changes={"order": order, "entropy_by": by, "kl_by": "constant"},
        )
        for order, title in ORDERS.items()
        for schedule, (by, shown) in SCHEDULES.items()
    ]
    return [
        *rows,
        _row(
            "easy_to_hard-by_tier-paper_beta",
            "factorial",
            "easy to hard, gamma and beta by tier",
            "conclusions",
            changes={"order": "easy_to_hard", "entropy_by": "tier", "kl_by": "tier"},
        ),
    ]


def cleaning() -> list[Row]:
    """Return {plain, cumulative} x {variance-free groups kept, dropped}, and what plain needs."""

    def changes(stages: str, dropped: bool, **more: Any) -> dict[str, Any]:
        return PAPER | {"stages": stages, "drop_groups_without_variance": dropped} | more

    return [
        _row("plain-dropped", "cleaning", "plain stages, groups dropped", "conclusions",
             changes=changes("plain", True)),
        _row("cumulative-kept", "cleaning", "cumulative stages, groups kept", "conclusions",
             changes=changes("cumulative", False)),
        _row("cumulative-dropped", "cleaning", "cumulative stages, groups dropped", "conclusions",
             changes=changes("cumulative", True)),
        _row("plain-kept-zero", "cleaning", "plain stages, groups kept, gamma none", "conclusions",
             changes=changes("plain", False, entropy_by="zero")),
        _row("plain-kept-replay", "cleaning", "plain stages, groups kept, half replayed",
             "conclusions", changes=changes("plain", False, replay=0.5)),
    ]  # fmt: skip


def baselines() -> list[Row]:
    """Return the baselines, named as METHOD's ablation table names them."""
    return [
        _row("start", "baseline", "no RL at all (the Start)", "conclusions",
             attending="start", triage="start"),
        _row("no_attending_rl", "baseline", "no attending RL", "conclusions", attending="start"),
        _row("without_c_marl", "baseline", "without C-MARL", "conclusions", changes=SHUFFLED),
        _row("easy_only", "baseline", "easy only", "conclusions", stage="easy"),
        _row("easy_and_medium", "baseline", "easy + medium", "conclusions", stage="medium"),
        _row("supervised_with_opinions", "baseline", "supervised, with opinions", "conclusions",
             attending="supervised"),
        _row("supervised_without_opinions", "baseline", "supervised, without opinions",
             "conclusions", attending="supervised", opinions=False),
        _row("without_specialists", "baseline", "without specialists", "conclusions",
             opinions=False),
        _row("self_vote", "baseline", f"without specialists, {VOTES} samples vote",
             "conclusions", opinions=False, votes=VOTES),
        _row("full_vote", "baseline", f"full, {VOTES} samples vote", "conclusions",
             votes=VOTES),
        _row("random_specialty", "baseline", "without triage (random specialty)", "conclusions",
             panel="random"),
        _row("all_specialties", "baseline", "all specialties", "conclusions", panel="all"),
        _row("gold_specialty", "baseline", "gold specialty (oracle routing)", "conclusions",
             panel="gold"),
        _row("triage_classifier", "baseline", "triage by a plain classifier", "conclusions",
             triage="classifier"),
        _row("triage_supervised", "baseline", "triage by supervised fine-tuning",
             "conclusions", triage="supervised"),
    ]  # fmt: skip


ROWS: tuple[Row, ...] = (
    _row("full", "baseline", "full (the default recipe)", "conclusions"),
    _row("paper", "paper", "the paper's plain stages", "conclusions", changes=PAPER),
    *baselines(),
    *factorial(),
    *cleaning(),
)
"""Every row, the page's conclusions first."""
