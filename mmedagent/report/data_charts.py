"""Charts of two data versions side by side: shares of categories, histograms of numbers."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from mmedagent.report.svg import (
    drawing,
    element,
    line,
    polyline,
    rectangle,
    text,
    ticks,
)

BEFORE = "var(--start)"
AFTER = "var(--challenger)"
_MOST_ROWS = 12
_BINS = 30
_WIDTH = 470.0


def pairs_chart(title: str, before: Mapping[str, int], after: Mapping[str, int]) -> Markup:
    """Draw each category's share of the cases in both versions, as two bars; at most a dozen.

    With more categories, those whose shares moved furthest are drawn, in the given order.
    """
    totals = max(1, sum(before.values())), max(1, sum(after.values()))
    names = _most_moved(before, after, totals)
    if not names:
        return _nothing(title)
    left = 14 + 6.6 * max(8, *(len(_cut(name)) for name in names))
    right, pitch = 96.0, 34.0
    shares = {n: (before.get(n, 0) / totals[0], after.get(n, 0) / totals[1]) for n in names}
    most = max(max(pair) for pair in shares.values()) or 1.0
    height = 22 + pitch * len(names)
    span = _WIDTH - left - right
    items = []
    for tick in ticks(0, most, 3):
        x = left + span * tick / most
        items.append(line(x, 18, x, height - 2, "var(--grid)"))
        items.append(text(x, 12, f"{100 * tick:g}", 10, "middle", "faint"))
    for number, name in enumerate(names):
        y = 24 + pitch * number
        low, high = shares[name]
        items.append(text(left - 8, y + 16, _cut(name), 12, "end"))
        items.append(rectangle(left, y + 2, span * low / most, 10, BEFORE, 2))
        items.append(rectangle(left, y + 13, span * high / most, 10, AFTER, 2))
        items.append(text(_WIDTH, y + 11, f"{before.get(name, 0):,}", 10.5, "end", "soft"))
        items.append(text(_WIDTH, y + 23, f"{after.get(name, 0):,}", 10.5, "end"))
        items.append(text(_WIDTH - 52, y + 17, _points(high - low), 11, "end", "soft"))
    return drawing(_WIDTH, height, items, title)


def histogram_chart(title: str, before: Mapping[int, int], after: Mapping[int, int]) -> Markup:
    """Draw both versions' shares over the values' range: the first filled, the second as a line."""
    values = [*before, *after]
    if not values:
        return _nothing(title)
    low, high = min(values), max(values) + 1
    bins = min(_BINS, high - low)
    one, two = (_binned(counts, low, high, bins) for counts in (before, after))
    most = max([*one, *two]) or 1.0
    height, left, bottom, top = 190.0, 34.0, 26.0, 10.0
    span_x, span_y = _WIDTH - left - 8, height - top - bottom

    def place(edge: float, share: float) -> tuple[float, float]:
        return left + span_x * edge / bins, top + span_y * (1 - share / most)

    items = []
    for tick in ticks(0, most, 3):
        y = place(0, tick)[1]
        items.append(line(left, y, _WIDTH - 8, y, "var(--grid)"))
        items.append(text(left - 6, y + 3.5, f"{100 * tick:g}", 10, "end", "faint"))
    for index, share in enumerate(one):
        (x, y), width = place(index, share), span_x / bins
        items.append(rectangle(x, y, max(1.0, width - 1), height - bottom - y, BEFORE, 1))
    outline = [place(edge, two[index]) for index in range(bins) for edge in (index, index + 1)]
    items.append(polyline([place(0, 0), *outline, place(bins, 0)], AFTER, 2.4))
    for value in ticks(low, high - 1, 5) if high - low > 1 else [low]:
        x = left + span_x * (value - low + 0.5) / (high - low)
        items.append(text(x, height - 10, f"{value:g}", 10, "middle", "soft"))
    return drawing(_WIDTH, height, items, title)


def flow_chart(cases: Mapping[str, Any]) -> Markup:
    """Draw what became of the cases: one bar a version, cut into what went, stayed and came."""
    before, after = int(cases["before"]), int(cases["after"])
    went, came = sum(cases["went"].values()), sum(cases["came"].values())
    changed, width = int(cases["changed_cases"]), 620.0
    left, most = 74.0, max(1, before + came)
    scale = (width - left - 70) / most
    kept = (before - went) * scale
    items = []
    for y, label, count, parts in (
        (4, "before", before, ((left, kept, BEFORE), (left + kept, went * scale, "var(--fail)"))),
        (36, "after", after, ((left, kept, BEFORE), (left + kept, came * scale, AFTER))),
    ):
        items.append(text(left - 10, y + 16, label, 12, "end", "soft"))
        for x, length, colour in parts:
            items.append(rectangle(x, y, length, 22, colour, 2))
        end = sum(length for _, length, _ in parts)
        items.append(text(left + end + 8, y + 16, f"{count:,}", 12))
    items.append(rectangle(left, 36, changed * scale, 22, "var(--doubt)", 2))
    label = f"{went} went, {came} came, {changed} changed"
    return drawing(width, 64, items, label)


def _most_moved(
    before: Mapping[str, int], after: Mapping[str, int], totals: tuple[int, int]
) -> list[str]:
    names = list(dict.fromkeys([*after, *before]))
    if len(names) <= _MOST_ROWS:
        return names

    def moved(name: str) -> float:
        return abs(after.get(name, 0) / totals[1] - before.get(name, 0) / totals[0])

    # The sort is stable: of those that moved equally (not at all), the commonest stay.
    kept = set(sorted(names, key=moved, reverse=True)[:_MOST_ROWS])
    return [name for name in names if name in kept]


def _binned(counts: Mapping[int, int], low: int, high: int, bins: int) -> list[float]:
    total = max(1, sum(counts.values()))
    shares = [0.0] * bins
    for value, count in counts.items():
        shares[min(bins - 1, (value - low) * bins // (high - low))] += count / total
    return shares


def _points(difference: float) -> str:
    rounded = f"{100 * difference:+.1f}".replace("-", "−")
    return "" if rounded[1:] == "0.0" else rounded


def _cut(name: str) -> str:
    spaced = name.replace("_", " ")
    return spaced if len(spaced) <= 28 else f"{spaced[:27]}…"


def _nothing(title: str) -> Markup:
    return drawing(_WIDTH, 60, [element("text", "nothing to show", x=10, y=34)], title)
