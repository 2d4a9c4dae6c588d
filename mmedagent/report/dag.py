"""The DAG as a drawing: which tasks ran, came from the cache, failed or were never reached."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from mmedagent.report.page import duration, words
from mmedagent.report.svg import drawing, element, group, rectangle, text

NODE_WIDTH, NODE_HEIGHT, LANE, LAYER = 142.0, 42.0, 157.0, 62.0

_MARKS = {
    "executed": "✓",
    "cached": "↺",
    "reused": "↺",
    "failed": "✗",
    "interrupted": "✗",
    "running": "…",
    "not_reached": "",
}
_STROKES = {
    "executed": "var(--pass)",
    "cached": "var(--start)",
    "reused": "var(--start)",
    "failed": "var(--fail)",
    "interrupted": "var(--fail)",
    "running": "var(--doubt)",
}


def dag_drawing(tasks: Sequence[Mapping[str, Any]]) -> Markup:
    """Draw `tasks` ({name, after, state, seconds}), in layers by their longest way from a source.

    The two doctors' tasks keep a lane each, everything else stands in the middle.
    """
    layers = _layers(tasks)
    places = _places(tasks, layers)
    by_name = {task["name"]: task for task in tasks}
    items = [
        _edge(places[before], places[task["name"]])
        for task in tasks
        for before in _direct(task["name"], by_name)
    ]
    items += [_node(task, *places[task["name"]]) for task in tasks]
    height = LAYER * (max(layers.values(), default=0) + 1) - (LAYER - NODE_HEIGHT) + 4
    return drawing(LANE * 3 - (LANE - NODE_WIDTH) + 4, height, items, "The tasks of the run")


def _layers(tasks: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    layers: dict[str, int] = {}
    for task in tasks:  # in topological order
        known = [layers[name] for name in task["after"] if name in layers]
        layers[task["name"]] = max(known, default=-1) + 1
    return layers


def _places(
    tasks: Sequence[Mapping[str, Any]], layers: Mapping[str, int]
) -> dict[str, tuple[float, float]]:
    taken: set[tuple[int, int]] = set()
    places = {}
    for task in tasks:
        name, layer = task["name"], layers[task["name"]]
        wanted = 0 if "triage" in name else 2 if "attending" in name else 1
        lane = next((n for n in (wanted, 1, 2, 0) if (n, layer) not in taken), wanted)
        taken.add((lane, layer))
        places[name] = (2 + LANE * lane, 2 + LAYER * layer)
    return places


def _direct(name: str, by_name: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what a task waits for, without what its other predecessors wait for anyway."""

    def above(task: str) -> set[str]:
        before = [b for b in by_name[task]["after"] if b in by_name]
        return set(before).union(*(above(b) for b in before)) if before else set()

    direct = [before for before in by_name[name]["after"] if before in by_name]
    return [b for b in direct if not any(b in above(other) for other in direct if other != b)]


def _edge(start: tuple[float, float], end: tuple[float, float]) -> Markup:
    x1, y1 = start[0] + NODE_WIDTH / 2, start[1] + NODE_HEIGHT
    x2, y2 = end[0] + NODE_WIDTH / 2, end[1]
    # Down the lane first, then across just above the target: long edges miss the nodes between.
    turn = y2 - (LAYER - NODE_HEIGHT)
    path = f"M{x1} {y1} L{x1} {turn} C{x1} {y2 - 4},{x2} {turn},{x2} {y2}"
    return element("path", d=path, fill="none", stroke="var(--faint)", stroke_width=1.3)


def _node(task: Mapping[str, Any], x: float, y: float) -> Markup:
    state = task["state"]
    reached = state != "not_reached"
    stroke = _STROKES.get(state, "var(--rule)")
    dash = {} if reached else {"stroke_dasharray": "4 3"}
    box = rectangle(
        x, y, NODE_WIDTH, NODE_HEIGHT, "var(--card)", 8, stroke=stroke, stroke_width=1.6, **dash
    )
    kind = "" if reached else "faint"
    note = state.replace("_", " ")
    if task["seconds"] is not None and state in ("executed", "failed", "interrupted"):
        note = (
            duration(task["seconds"])
            if state == "executed"
            else f"{note}, {duration(task['seconds'])}"
        )
    mark = element(
        "text",
        _MARKS.get(state, ""),
        x=x + NODE_WIDTH - 10,
        y=y + 34,
        font_size=14,
        text_anchor="end",
        style=f"fill: {stroke}",
    )
    label = words(task["name"])
    return group(
        [
            box,
            text(x + 10, y + 18, label, 12, "start", kind),
            text(x + 10, y + 33, note, 10.5, "start", "soft"),
            mark,
        ]
    )
