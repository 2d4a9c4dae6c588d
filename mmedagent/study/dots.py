"""The study's charts of points with intervals, drawn with the report's SVG."""

from collections.abc import Callable, Sequence

from markupsafe import Markup

from mmedagent.report.svg import drawing, element, line, rectangle, text, ticks
from mmedagent.study.statistics import Estimate

Entry = tuple[str, Estimate, str]
"""Label, figure, colour."""
Place = Callable[[float], float]
"""From a share to its place on the axis."""
WIDTH = 760.0
INK, GRID, FAINT = "var(--ink)", "var(--grid)", "var(--faint)"


def dot_chart(
    title: str, sections: Sequence[tuple[str, Sequence[Entry]]], reference: Estimate | None = None
) -> Markup:
    """Draw accuracies in percent, one row each under its section's heading.

    The dashed line is at `reference`.
    """
    left, right, pitch, top = 270.0, 52.0, 20.0, 30.0
    entries = [entry for _, part in sections for entry in part]
    low, high = _axis([e for _, e, _ in entries])
    height = top + pitch * (len(entries) + 1.4 * len(sections)) + 10

    def at(share: float) -> float:
        return left + (WIDTH - left - right) * (share - low) / (high - low)

    items = _scale(at, low, high, top - 4, height - 6)
    items.append(text(left, 9, f"{title}, %", 11, kind="soft"))
    if reference is not None:
        x = at(reference.value)
        items.append(line(x, top - 4, x, height - 6, FAINT, 1, "3 3"))
    y = top
    for heading, part in sections:
        y += 1.4 * pitch
        items.append(text(8, y - 6, heading, 12, kind="soft"))
        for label, estimate, colour in part:
            items.append(text(left - 10, y + 13.5, label, 12, "end"))
            items += _point(at, estimate, y + 9.5, colour)
            items.append(text(WIDTH - 4, y + 13.5, f"{100 * estimate.value:.1f}", 12, "end"))
            y += pitch
    return drawing(WIDTH, height, items, title)


def columns_chart(
    title: str,
    columns: Sequence[str],
    rows: Sequence[tuple[str, Sequence[Estimate | None], str]],
) -> Markup:
    """Draw several shares of each row side by side, each column from 0 to 100 percent."""
    left, gap, pitch, top = 204.0, 32.0, 20.0, 44.0
    span = (WIDTH - left - 12 - gap * (len(columns) - 1)) / len(columns)
    height = top + pitch * len(rows) + 8
    items = []
    for number, column in enumerate(columns):
        start = left + number * (span + gap)

        def at(share: float, start: float = start) -> float:
            return start + span * share

        items.append(text(start, 12, column, 12))
        items += _scale(at, 0.0, 1.0, top - 4, height - 4, 2)
        for place, (_, estimates, colour) in enumerate(rows):
            found = estimates[number]
            if found is not None:
                items += _point(at, found, top + pitch * place + 9.5, colour, radius=3.2)
    for place, (label, _, _) in enumerate(rows):
        items.append(text(left - 12, top + pitch * place + 13.5, label, 12, "end"))
    return drawing(WIDTH, height, items, title)


def difference_chart(
    title: str,
    sections: Sequence[tuple[str, Sequence[tuple[str, Estimate, str, bool]]]],
) -> Markup:
    """Draw differences in points: (label, estimate, colour, stands after correction).

    A filled point stands after Holm's correction, a hollow one does not.
    """
    left, right, pitch, top = 345.0, 56.0, 20.0, 30.0
    rows = [row for _, part in sections for row in part]
    low = min([-0.02, *(estimate.lower for _, estimate, _, _ in rows)]) - 0.005
    high = max([0.02, *(estimate.upper for _, estimate, _, _ in rows)]) + 0.005
    height = top + pitch * (len(rows) + 1.4 * len(sections)) + 10

    def at(value: float) -> float:
        return left + (WIDTH - left - right) * (value - low) / (high - low)

    items = []
    for tick in ticks(low, high, 6):
        items.append(line(at(tick), top - 4, at(tick), height - 6, GRID))
        items.append(text(at(tick), top - 9, _signed(tick, 0), 10, "middle", "faint"))
    items.append(line(at(0), top - 4, at(0), height - 6, INK, 1))
    items.append(text(8, 9, title, 11, kind="soft"))
    y = top
    for heading, part in sections:
        y += 1.4 * pitch
        items.append(text(8, y - 6, heading, 12, kind="soft"))
        for label, estimate, colour, stands in part:
            items.append(text(left - 10, y + 13.5, label, 12, "end"))
            items += _point(at, estimate, y + 9.5, colour, stands)
            items.append(text(WIDTH - 4, y + 13.5, _signed(estimate.value), 12, "end"))
            y += pitch
    return drawing(WIDTH, height, items, title)


def factorial_chart(
    title: str,
    columns: Sequence[str],
    series: Sequence[tuple[str, str, Sequence[Estimate | None]]],
    reference: tuple[str, Estimate] | None = None,
) -> Markup:
    """Draw one group a column and in it one point a series (name, colour, one figure a column)."""
    height, left, top, bottom = 300.0, 52.0, 34.0, 34.0
    known = [e for _, _, part in series for e in part if e is not None]
    low, high = _axis([*known, *([reference[1]] if reference else [])])
    span = (WIDTH - left - 12) / len(columns)

    def at(share: float) -> float:
        return top + (height - top - bottom) * (1 - (share - low) / (high - low))

    items = []
    for tick in ticks(low, high, 5):
        items.append(line(left, at(tick), WIDTH - 12, at(tick), GRID))
        items.append(text(left - 8, at(tick) + 3.5, f"{100 * tick:.0f}", 10, "end", "soft"))
    items.append(text(8, 12, f"{title}, %", 11, kind="soft"))
    if reference is not None:
        y = at(reference[1].value)
        items.append(line(left, y, WIDTH - 12, y, FAINT, 1, "3 3"))
        items.append(text(WIDTH - 14, y - 4, reference[0], 10, "end", "soft"))
    for number, column in enumerate(columns):
        middle = left + span * (number + 0.5)
        items.append(text(middle, height - 12, column, 12, "middle"))
        for place, (_, colour, part) in enumerate(series):
            found = part[number]
            if found is not None:
                x = middle + (place - (len(series) - 1) / 2) * 34
                items.append(line(x, at(found.lower), x, at(found.upper), colour, 1.8))
                items += [
                    line(x - 4, at(end), x + 4, at(end), colour, 1.8)
                    for end in (found.lower, found.upper)
                ]
                items.append(element("circle", cx=x, cy=at(found.value), r=4.5, fill=colour))
                value = f"{100 * found.value:.1f}"
                items.append(text(x, at(found.upper) - 6, value, 10, "middle", "soft"))
    items += legend([(name, colour) for name, colour, _ in series], WIDTH - 12, 12)
    return drawing(WIDTH, height, items, title)


def legend(entries: Sequence[tuple[str, str]], right: float, y: float) -> list[Markup]:
    """Return coloured squares with their names, ending at `right`."""
    items: list[Markup] = []
    x = right - sum(28 + 6.7 * len(name) for name, _ in entries)
    for name, colour in entries:
        items.append(rectangle(x, y - 9, 10, 10, colour, 2))
        items.append(text(x + 15, y, name, 11, kind="soft"))
        x += 28 + 6.7 * len(name)
    return items


def _scale(
    at: Place, low: float, high: float, top: float, bottom: float, most: int = 8
) -> list[Markup]:
    items = []
    for tick in ticks(low, high, most):
        items.append(line(at(tick), top, at(tick), bottom, GRID))
        items.append(text(at(tick), top - 5, f"{100 * tick:.0f}", 10, "middle", "faint"))
    return items


def _point(
    at: Place,
    estimate: Estimate,
    y: float,
    colour: str,
    filled: bool = True,
    radius: float = 4.2,
) -> list[Markup]:
    low, high = at(estimate.lower), at(estimate.upper)
    fill = colour if filled else "var(--paper)"
    return [
        line(low, y, high, y, colour, 1.8),
        line(low, y - 3.5, low, y + 3.5, colour, 1.8),
        line(high, y - 3.5, high, y + 3.5, colour, 1.8),
        element(
            "circle",
            cx=at(estimate.value),
            cy=y,
            r=radius,
            stroke=colour,
            stroke_width=1.8,
            fill=fill,
        ),
    ]


def _axis(estimates: Sequence[Estimate]) -> tuple[float, float]:
    """Return an axis in tenths around all intervals: a bar's length would need zero, a dot not."""
    low = min((e.lower for e in estimates), default=0.0)
    high = max((e.upper for e in estimates), default=1.0)
    return max(0.0, int(low * 20) / 20), min(1.0, (int(high * 20) + 1) / 20)


def _signed(value: float, digits: int = 1) -> str:
    shown = f"{100 * value:+.{digits}f}".replace("-", "−")
    return shown[1:] if float(shown[1:]) == 0 else shown
