"""What became of all questions of a release: counts, and places of what could not be read."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from mmedagent.cases.adding.chunks import ChunkFacts
from mmedagent.cases.adding.survey import Survey
from mmedagent.cases.case import POOLS
from mmedagent.cases.privacy.report import PrivacyReport
from mmedagent.cases.sources.contract import Source
from mmedagent.digests import digest_value
from mmedagent.errors import BadDataError
from mmedagent.recipes.sets import DataSetRecipe

_LISTED = 20


@dataclass
class Sums:
    """What became of all questions."""

    questions: int = 0
    pools: Counter[str] = field(default_factory=Counter)
    unmapped: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    bad: list[str] = field(default_factory=list)
    privacy: PrivacyReport = field(default_factory=PrivacyReport)
    chunks: list[ChunkFacts] = field(default_factory=list)

    def add(self, facts: ChunkFacts) -> None:
        """Count one chunk."""
        self.questions += facts.questions
        self.pools.update(facts.pools)
        self.unmapped.update(facts.unmapped)
        self.refused += facts.refused
        self.bad += facts.bad
        self.privacy.merge(PrivacyReport.from_dict(facts.privacy))
        self.chunks.append(facts.model_copy(update={"pools": sorted(set(facts.pools))}))


def bad_cases(recipe: DataSetRecipe, sums: Sums) -> BadDataError:
    """Return the error that names the first twenty questions that cannot be taken."""
    lines = [f"  {message}" for message in sums.bad[:_LISTED]]
    if len(sums.bad) > _LISTED:
        lines.append(f"  and {len(sums.bad) - _LISTED} more")
    allowed = recipe.limits.max_bad_cases
    return BadDataError(
        f"{recipe.release}: {len(sums.bad)} of the first {sums.questions} questions cannot be"
        f" taken; {allowed} are allowed (`limits.max_bad_cases`):\n" + "\n".join(lines)
    )


def report_of(recipe: DataSetRecipe, source: Source, found: Survey, sums: Sums) -> dict[str, Any]:
    """Return the content of `ingest.json`."""
    return {
        "schema": 1,
        "name": recipe.name,
        "source": {"name": source.name, "title": source.title, "licence": source.licence},
        "release_sha256": recipe.sha256,
        "recipe": digest_value(recipe.model_dump(mode="json")),
        "questions": found.cases + sum(found.skipped.values()),
        "splits": dict(sorted(found.splits.items())),
        "cases": sum(sums.pools.values()),
        "pools": {pool: sums.pools[pool] for pool in POOLS if sums.pools[pool]},
        "left_out": {
            "skipped": dict(sorted(found.skipped.items())),
            "unmapped_modalities": dict(sorted(sums.unmapped.items())),
            "for_privacy": sums.refused,
            "unreadable": sums.bad,
        },
        "privacy": sums.privacy.as_dict(),
    }


def left_out(report: dict[str, Any]) -> str:
    """Say in one line what was left out and why."""
    left = report["left_out"]
    unmapped = ", ".join(f"{word} ({count})" for word, count in left["unmapped_modalities"].items())
    return (
        f"{sum(left['skipped'].values())} skipped, {left['for_privacy']} refused for privacy,"
        f" modalities without a specialty: {unmapped or 'none'}"
    )
