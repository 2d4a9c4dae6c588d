"""Sorting the training cases into tiers, by the share of the panel that is right."""

from collections import Counter
from pathlib import Path
from typing import Any

from mmedagent.atomic import new_folder, write_json
from mmedagent.cases.case import Case, Opinion
from mmedagent.cases.store import read_multiple_choice
from mmedagent.errors import BadDataError
from mmedagent.panel.table import (
    CURRICULUM,
    TIERS,
    Placement,
    read_opinions,
    tier_of,
    write_curriculum,
)
from mmedagent.recipes.panel import CurriculumRecipe


def agreement_of(case: Case, opinions: tuple[Opinion, ...]) -> float:
    """Return the share of `opinions` that are right; 'no opinion' counts as wrong."""
    if not opinions:
        raise BadDataError(f"case {case.case_id!r} has no opinions: label it first")
    return sum(opinion.letter == case.letter for opinion in opinions) / len(opinions)


def sort_cases(cases: Path, opinions: Path, recipe: CurriculumRecipe, out: Path) -> dict[str, Any]:
    """Place each case of the `train` pool in its tier, from the panel's real answers.

    Source: METHOD, section 'Curriculum (C-MARL)': s = 1 is easy, 0 < s < 1 medium, s = 0 hard.
    Writes `curriculum.parquet` and `curriculum.json` (the same figures that are returned: cases
    and share per tier, and per question type) into the new folder `out`.

    Raises `BadDataError` when a training case has no opinions, or a tier has fewer cases than
    `recipe.least_per_tier`: the message names the tier.
    """
    pool = read_multiple_choice(cases, ["train"])
    said = read_opinions(opinions)
    unlabelled = [case.case_id for case in pool if case.case_id not in said]
    if unlabelled:
        raise BadDataError(
            f"{len(unlabelled)} training cases have no opinions, the first {unlabelled[0]!r}:"
            f" {opinions} was made from other cases than {cases}"
        )
    placements = {}
    for case in pool:
        agreement = agreement_of(case, said[case.case_id])
        placements[case.case_id] = Placement(agreement, tier_of(agreement))
    stats = _stats(pool, placements)
    _require_tiers(stats["tiers"], recipe)
    with new_folder(out) as folder:
        write_curriculum(folder / CURRICULUM, placements)
        write_json(folder / "curriculum.json", stats)
    return stats


def _stats(pool: list[Case], placements: dict[str, Placement]) -> dict[str, Any]:
    def tiers_of(cases: list[Case]) -> dict[str, dict[str, float]]:
        counts = Counter(placements[case.case_id].tier for case in cases)
        return {
            tier: {"cases": counts[tier], "share": counts[tier] / max(1, len(cases))}
            for tier in TIERS
        }

    types = sorted({case.question_type for case in pool})
    by_type = {kind: tiers_of([c for c in pool if c.question_type == kind]) for kind in types}
    return {
        "schema": 1,
        "cases": len(pool),
        "mean_agreement": sum(p.agreement for p in placements.values()) / max(1, len(pool)),
        "tiers": tiers_of(pool),
        "by_question_type": by_type,
    }


def _require_tiers(tiers: dict[str, dict[str, float]], recipe: CurriculumRecipe) -> None:
    short = [tier for tier in TIERS if tiers[tier]["cases"] < recipe.least_per_tier]
    if not short:
        return
    counts = ", ".join(f"{tier} {tiers[tier]['cases']:.0f}" for tier in TIERS)
    raise BadDataError(
        f"curriculum: too few training cases in the tier {' and '.join(short)} ({counts}; at least"
        f" {recipe.least_per_tier} each). A panel that is never divided, or never all wrong, gives"
        " no curriculum: change the panel or the cases, or set curriculum.least_per_tier=0"
    )
