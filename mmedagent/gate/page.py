"""The verdict as a page."""

from typing import Any

from mmedagent.report.charts import forest_chart
from mmedagent.report.page import render


def verdict_page(verdict: dict[str, Any]) -> str:
    """Return `verdict` (the content of verdict.json) as one self-contained HTML page."""
    return render("verdict.html.j2", verdict=verdict, forest=forest_chart(verdict["rows"]))
