"""The report's charts: training curves, accuracies with intervals, confusion, the verdict."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from mmedagent.report.svg import (
    drawing,
    element,
    group,
    line,
    polyline,
    rectangle,
    text,
    ticks,
)

Figures = Mapping[str, Any]

COLOURS = {
    "challenger": "var(--challenger)",
    "champion": "var(--champion)",
    "start": "var(--start)",
    "panel_majority": "var(--majority)",
    "best_specialist": "var(--specialist)",
    "text_only": "var(--control)",
    "options_permuted": "var(--control)",
}


def curve_chart(title: str, parts: Sequence[tuple[str, Sequence[float | None]]]) -> Markup:
    """Draw one quantity over optimiser steps; `parts` are the stages, one after the other.

    The faint line is each step, the strong one a running mean over a twentieth of the steps.
    """
    width, height, left, top, bottom = 250.0, 150.0, 38.0, 12.0, 24.0
    values = [v for _, part in parts for v in part if v is not None]
    if not values:
        return drawing(
            width, height, [text(width / 2, 75, "not recorded", 11, "middle", "soft")], title
        )
    low, high = _span(values)
    total = sum(len(part) for _, part in parts)
    span_x, span_y = width - left - 6, height - top - bottom

    def place(step: float, value: float) -> tuple[float, float]:
        x = left + span_x * (step / max(1, total - 1))
        return x, top + span_y * (1 - (value - low) / (high - low))

    items = []
    for tick in ticks(low, high, 3):
        y = place(0, tick)[1]
        items.append(line(left, y, width - 6, y, "var(--grid)"))
        items.append(text(left - 5, y + 3.5, _tick(tick, high - low), 10, "end", "soft"))
    offset = 0
    for number, (name, part) in enumerate(parts):
        points = [(offset + n, v) for n, v in enumerate(part) if v is not None]
        if number:
            x = place(offset - 0.5, low)[0]
            items.append(line(x, top, x, height - bottom, "var(--faint)", 1, "2 3"))
        items.append(polyline([place(*p) for p in points], "var(--challenger)", 1, 0.32))
        smooth = _running_mean(points, max(1, total // 20))
        items.append(polyline([place(*p) for p in smooth], "var(--challenger)", 2))
        middle = place(offset + (len(part) - 1) / 2, low)[0]
        items.append(text(middle, height - 9, name or f"{total} steps", 10, "middle", "soft"))
        offset += len(part)
    return drawing(width, height, items, title)


def accuracy_chart(title: str, rows: Sequence[tuple[str, str, Figures]], note: str = "") -> Markup:
    """Draw one bar with its interval for each (label, system, estimate), on 0 to 100 percent."""
    width, left, right, pitch = 430.0, 128.0, 46.0, 25.0
    height = 24 + pitch * len(rows) + 4
    span = width - left - right

    def at(share: float) -> float:
        return left + span * share

    items = []
    for tick in (0, 0.25, 0.5, 0.75, 1.0):
        items.append(line(at(tick), 18, at(tick), height - 4, "var(--grid)"))
        items.append(text(at(tick), 12, f"{100 * tick:.0f}", 10, "middle", "faint"))
    for number, (label, system, estimate) in enumerate(rows):
        y = 22 + pitch * number
        colour = COLOURS.get(system, "var(--specialist)")
        items.append(text(left - 8, y + 14.5, label, 12, "end"))
        items.append(rectangle(left, y + 3, span * estimate["value"], pitch - 8, colour, 2))
        items.append(_whisker(at(estimate["lower"]), at(estimate["upper"]), y + pitch / 2 - 1))
        value = f"{100 * estimate['value']:.1f}"
        items.append(text(width - 2, y + 14.5, value, 12, "end"))
    if note:
        items.append(text(width, height + 8, note, 10, "end", "soft"))
    return drawing(width, height + (12 if note else 0), items, title)


def confusion_chart(confusion: Figures) -> Markup:
    """Draw the triage confusion matrix: gold down, chosen across, shade by share of the row."""
    gold, chosen, counts = confusion["gold"], confusion["chosen"], confusion["counts"]
    cell, left, top = 62.0, 116.0, 40.0
    width, height = left + cell * len(chosen) + 2, top + 44 * len(gold) + 4
    items = [text(left, 11, "chosen by triage", 11, "start", "soft")]
    items.append(text(0, top - 8, "gold", 11, "start", "soft"))
    for column, name in enumerate(chosen):
        x = left + cell * (column + 0.5)
        items.append(text(x, top - 8, _abbreviated(name), 11, "middle", "soft"))
    for row, name in enumerate(gold):
        y = top + 44 * row
        items.append(text(left - 10, y + 26, name, 12, "end"))
        total = max(1, sum(counts[row]))
        for column, count in enumerate(counts[row]):
            share = count / total
            x = left + cell * column
            fill = f"rgba(var(--heat), {0.08 + 0.77 * share:.2f})" if count else "var(--wash)"
            items.append(rectangle(x + 1, y + 1, cell - 2, 42, fill, 4))
            style = "fill: var(--card)" if share > 0.55 else ""
            label = str(count) if count else "·"
            items.append(
                element(
                    "text",
                    label,
                    x=x + cell / 2,
                    y=y + 27,
                    font_size=14,
                    text_anchor="middle",
                    style=style,
                    font_weight=600 if name == chosen[column] else 400,
                )
            )
    return drawing(width, height, items, "Confusion matrix of triage")


def forest_chart(rows: Sequence[Figures]) -> Markup:
    """Draw the gate's comparisons: difference, interval, and what its lower end must exceed."""
    width, pitch = 460.0, 52.0
    height = pitch * len(rows) + 34
    low: float = min([-0.08, *(r["lower"] - 0.02 for r in rows)])
    high: float = max([0.08, *(r["upper"] + 0.02 for r in rows)])

    def at(value: float) -> float:
        return 10 + (width - 20) * (value - low) / (high - low)

    items = []
    for tick in ticks(low, high, 6):
        strong = "var(--faint)" if abs(tick) < 1e-9 else "var(--grid)"
        items.append(line(at(tick), 0, at(tick), height - 22, strong))
        label = f"{100 * tick:+.0f}".replace("-", "−") if abs(tick) > 1e-9 else "0"
        items.append(text(at(tick), height - 8, label, 10, "middle", "soft"))
    for number, row in enumerate(rows):
        y = pitch * number + 34
        colour = {"pass": "var(--pass)", "fail": "var(--fail)"}.get(row["verdict"], "var(--doubt)")
        label = f"{row['comparison']} to {row['name'].replace('_', ' ')}"
        items.append(text(10, y - 18, label, 12, kind="halo"))
        margin = at(row["margin"])
        items.append(line(margin, y - 12, margin, y + 12, colour, 2, "3 3"))
        items.append(line(at(row["lower"]), y, at(row["upper"]), y, colour, 3))
        items.append(element("circle", cx=at(row["difference"]), cy=y, r=6, fill=colour))
    return drawing(width, height, items, "Differences in points with their intervals")


def _whisker(x1: float, x2: float, y: float) -> Markup:
    ink = "var(--ink)"
    return group(
        [
            line(x1, y, x2, y, ink, 1.4),
            line(x1, y - 4, x1, y + 4, ink, 1.4),
            line(x2, y - 4, x2, y + 4, ink, 1.4),
        ]
    )


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Return the axis: from 0 where all values are positive, with some air."""
    low, high = min(0.0, min(values)), max(values)
    if high - low < 1e-12:
        return low, low + 1.0
    return low, high + 0.06 * (high - low)


def _running_mean(points: Sequence[tuple[float, float]], window: int) -> list[tuple[float, float]]:
    result = []
    for index, (step, _) in enumerate(points):
        near = [v for _, v in points[max(0, index - window) : index + window + 1]]
        result.append((step, sum(near) / len(near)))
    return result


def _tick(value: float, span: float) -> str:
    if value == 0:
        return "0"
    return f"{value:.3g}" if span < 0.1 else f"{value:.2f}".rstrip("0").rstrip(".")


def _abbreviated(name: str) -> str:
    return name if len(name) <= 6 else f"{name[:6]}."
