"""The study's charts over time: tiers after each stage, curves over training steps."""

from collections.abc import Callable, Sequence

from markupsafe import Markup

from mmedagent.report.svg import drawing, element, group, line, polyline, text, ticks
from mmedagent.study.dots import FAINT, GRID, WIDTH, legend
from mmedagent.study.schema import Cell, CurvePoint
from mmedagent.study.statistics import Estimate

Series = tuple[str, str, Sequence[Estimate | None]]
"""Name, colour, one figure a stage."""
Band = tuple[float, float, float, float]
"""Step, mean over seeds, least and most."""


def stages_chart(
    title: str, columns: Sequence[str], panels: Sequence[tuple[str, Sequence[Series]]]
) -> Markup:
    """Draw one small panel a way of training: each tier's accuracy after each stage, percent."""
    across, gap, left, top = 3, 26.0, 34.0, 30.0
    wide = (WIDTH - left - 8 - gap * (across - 1)) / across
    tall, pitch = 150.0, 212.0
    height = top + pitch * ((len(panels) + across - 1) // across)
    items = [text(0, 11, f"{title}, %", 11, kind="soft")]
    names = [(name, colour) for name, colour, _ in panels[0][1]] if panels else []
    items += legend(names, WIDTH, 11)
    for number, (heading, series) in enumerate(panels):
        x0 = left + (number % across) * (wide + gap)
        y0 = top + (number // across) * pitch + 18
        items.append(text(x0, y0 - 7, heading, 12))
        for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
            y = y0 + tall * (1 - tick)
            items.append(line(x0, y, x0 + wide, y, GRID))
            if number % across == 0:
                items.append(text(x0 - 6, y + 3.5, f"{100 * tick:.0f}", 10, "end", "soft"))
        places = [x0 + wide * (0.1 + 0.8 * n / (len(columns) - 1)) for n in range(len(columns))]
        for x, column in zip(places, columns, strict=True):
            items.append(text(x, y0 + tall + 14, column, 10, "middle", "soft"))
        for place, (_, colour, estimates) in enumerate(series):
            items += _stage_line(places, estimates, y0, tall, colour, 2.5 * place - 3.75)
    return drawing(WIDTH, height, items, title)


def curves_chart(
    title: str,
    panels: Sequence[tuple[str, Sequence[tuple[str, str, Sequence[Band]]]]],
    breaks: Sequence[float],
    names: Sequence[tuple[str, str]],
) -> Markup:
    """Draw one panel an order: a line a schedule, with the range over seeds as a band.

    `breaks` are the steps at which a stage ends.
    """
    across, gap, left, top = 2, 34.0, 38.0, 30.0
    wide = (WIDTH - left - 8 - gap * (across - 1)) / across
    tall, pitch = 150.0, 206.0
    height = top + pitch * ((len(panels) + across - 1) // across)
    bands = [band for _, series in panels for _, _, part in series for band in part]
    last = max((step for step, _, _, _ in bands), default=1.0)
    high = 1.06 * max((most for _, _, _, most in bands), default=1.0) or 1.0
    items = [text(0, 11, title, 11, kind="soft"), *legend(names, WIDTH, 11)]
    for number, (heading, series) in enumerate(panels):
        x0 = left + (number % across) * (wide + gap)
        y0 = top + (number // across) * pitch + 18

        def at(step: float, value: float, x0: float = x0, y0: float = y0) -> tuple[float, float]:
            return x0 + wide * step / last, y0 + tall * (1 - value / high)

        items.append(text(x0, y0 - 7, heading, 12))
        for tick in ticks(0, high, 4):
            y = at(0, tick)[1]
            items.append(line(x0, y, x0 + wide, y, GRID))
            items.append(text(x0 - 6, y + 3.5, f"{tick:g}", 10, "end", "soft"))
        for step in breaks:
            x = at(step, 0)[0]
            items.append(line(x, y0, x, y0 + tall, FAINT, 1, "2 3"))
        for tick in ticks(0, last, 4):
            items.append(text(at(tick, 0)[0], y0 + tall + 14, f"{tick:g}", 10, "middle", "soft"))
        items += [_band(part, at, colour) for _, colour, part in series if part]
        items += [
            polyline([at(step, mean) for step, mean, _, _ in part], colour, 2)
            for _, colour, part in series
            if part
        ]
    return drawing(WIDTH, height, items, title)


def bands(cells: Sequence[Cell], figure: str) -> list[Band]:
    """Return a curve's mean and range over seeds, at the steps that all seeds have."""
    curves = [
        {p.step: value for p in cell.curve if (value := _value(p, figure)) is not None}
        for cell in cells
    ]
    if not curves:
        return []
    steps = sorted(set.intersection(*(set(curve) for curve in curves)))
    found = []
    for step in steps:
        values = [curve[step] for curve in curves]
        found.append((float(step), sum(values) / len(values), min(values), max(values)))
    return found


def stage_ends(cells: Sequence[Cell]) -> list[float]:
    """Return the steps at which a stage ended and another began, of the first cell's curve."""
    curve = cells[0].curve if cells else ()
    pairs = zip(curve, curve[1:], strict=False)
    return [float(before.step) for before, after in pairs if before.stage != after.stage]


def _value(point: CurvePoint, figure: str) -> float | None:
    value: float | None = getattr(point, figure)
    return value


def _stage_line(
    places: Sequence[float],
    estimates: Sequence[Estimate | None],
    y0: float,
    tall: float,
    colour: str,
    shift: float,
) -> list[Markup]:
    """Return a line through one tier's figures, its whiskers moved aside so that none is hidden."""
    known = [(x + shift, e) for x, e in zip(places, estimates, strict=True) if e is not None]

    def at(share: float) -> float:
        return y0 + tall * (1 - share)

    items = [polyline([(x, at(e.value)) for x, e in known], colour, 2)]
    for x, estimate in known:
        items.append(line(x, at(estimate.lower), x, at(estimate.upper), colour, 1.3))
        items.append(element("circle", cx=x, cy=at(estimate.value), r=3, fill=colour))
    return [group(items)]


def _band(
    part: Sequence[Band], at: Callable[[float, float], tuple[float, float]], colour: str
) -> Markup:
    there = [at(step, most) for step, _, _, most in part]
    back = [at(step, least) for step, _, least, _ in reversed(part)]
    points = " ".join(f"{x:.2f},{y:.2f}" for x, y in [*there, *back])
    return element("polygon", points=points, fill=colour, fill_opacity=0.14)
