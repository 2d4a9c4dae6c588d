"""Small pieces of Markdown: tables, figures, and the hand-written notes that go between them."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from mmedagent.errors import UsageError
from mmedagent.report.page import percent, points
from mmedagent.study.statistics import Estimate

MISSING = "–"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: int) -> str:
    """Return a Markdown table whose last `numbers` columns are aligned to the right."""
    words = len(head) - numbers
    rule = ["---"] * words + ["---:"] * numbers
    lines = [head, rule, *rows]
    return "\n".join("| " + " | ".join(cell for cell in row) + " |" for row in lines)


def share(estimate: Estimate | None) -> str:
    """Return `66.1 (62.0 to 70.2)`, in percent."""
    if estimate is None:
        return MISSING
    return f"{percent(estimate.value)} ({percent(estimate.lower)} to {percent(estimate.upper)})"


def difference(estimate: Estimate | None) -> str:
    """Return `+4.1 (+1.0 to +7.3)`, in percentage points."""
    if estimate is None:
        return MISSING
    return f"{points(estimate.value)} ({points(estimate.lower)} to {points(estimate.upper)})"


def probability(p: float | None) -> str:
    """Return a p-value as one reads it."""
    if p is None:
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def figure(name: str, description: str) -> str:
    """Return what shows the figure `study/<name>.svg`, with its description below it."""
    return f"![{description}](study/{name}.svg)\n\n*{description}.*"


def read_notes(path: Path, places: Collection[str]) -> dict[str, str]:
    """Return the hand-written parts of `path` by place: what stands under `## <place>`.

    Text above the first such heading is for the writer and left out; an absent file has no parts.
    Raises `UsageError` for a place that the page does not have.
    """
    if not path.exists():
        return {}
    parts = re.split(r"^## (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = {
        name.strip(): text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }
    unknown = sorted(set(found) - set(places))
    if unknown:
        raise UsageError(f"{path}: no place {unknown[0]!r} on the page; it has {', '.join(places)}")
    return found
