"""Small inline SVG: strings of elements whose colours are the page's CSS variables.

Written by hand and not by a plotting library, so that a chart follows the page's light or dark
scheme, its text is text, and the exit handler of a run imports nothing heavy.
"""

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape


def element(name: str, content: str = "", /, **attributes: object) -> Markup:
    """Return one element; `content` is escaped unless it is `Markup`; `_` in a name is `-`."""
    parts = [
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
    ]
    return Markup(f"<{name}{''.join(parts)}>{escape(content)}</{name}>")


def group(items: Iterable[Markup], **attributes: object) -> Markup:
    """Return a group of elements."""
    return element("g", Markup("").join(items), **attributes)


def drawing(width: float, height: float, items: Iterable[Markup], label: str) -> Markup:
    """Return a whole drawing that scales with the page; `label` is read to who cannot see it."""
    content = Markup("").join([element("title", label), *items])
    box = f"0 0 {_number(width)} {_number(height)}"
    return element("svg", content, viewBox=box, role="img", aria_label=label)


def text(
    x: float, y: float, content: str, size: float = 11, anchor: str = "start", kind: str = ""
) -> Markup:
    """Return a line of text. `kind` is a CSS class: `soft`, `faint` or none."""
    more = {"class_": kind} if kind else {}
    return element("text", content, x=x, y=y, font_size=size, text_anchor=anchor, **more)


def line(
    x1: float, y1: float, x2: float, y2: float, stroke: str, width: float = 1, dash: str = ""
) -> Markup:
    """Return a straight line."""
    extra = {"stroke_dasharray": dash} if dash else {}
    style = {"stroke": stroke, "stroke_width": width, **extra}
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, **style)


def polyline(
    points: Sequence[tuple[float, float]], stroke: str, width: float, opacity: float = 1
) -> Markup:
    """Return a line through `points`."""
    path = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
    return element(
        "polyline",
        points=path,
        fill="none",
        stroke=stroke,
        stroke_width=width,
        stroke_linejoin="round",
        stroke_opacity=opacity,
    )


def rectangle(
    x: float, y: float, width: float, height: float, fill: str, radius: float = 0, **more: object
) -> Markup:
    """Return a filled rectangle."""
    size = {"x": x, "y": y, "width": max(0.0, width), "height": max(0.0, height)}
    return element("rect", **size, fill=fill, rx=radius, **more)


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Return at most `most` + 1 round numbers from `low` to `high`."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    magnitude = 10 ** math.floor(math.log10(rough))
    step = next(magnitude * m for m in (1, 2, 2.5, 5, 10) if magnitude * m >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(n * step, 10) for n in range(first, last + 1)]


def _number(value: object) -> object:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
