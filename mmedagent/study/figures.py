"""Which figures the page shows, and what is in each."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from mmedagent.study.comparisons import ORDERS, SCHEDULES, TOPICS, factorial_row
from mmedagent.study.dots import Entry, columns_chart, difference_chart, dot_chart, factorial_chart
from mmedagent.study.lines import Series, bands, curves_chart, stage_ends, stages_chart
from mmedagent.study.measures import ABANDONED, ANY, BEST, FOLLOWED, MAJORITY, TIERS
from mmedagent.study.results import Results
from mmedagent.study.rows import ORDERS as ORDER_TITLES
from mmedagent.study.rows import SCHEDULES as SCHEDULE_TITLES

PALETTE = ("var(--s1)", "var(--s2)", "var(--s3)", "var(--s4)")
_SCHEDULE_NAMES = {name: title for name, (_, title) in SCHEDULE_TITLES.items()}
_COLOURS = dict(zip(SCHEDULES, PALETTE, strict=True))
_TIER_COLOURS = {
    "accuracy": "var(--ink)",
    "easy": "var(--s1)",
    "medium": "var(--s3)",
    "hard": "var(--fail)",
}
_SECTIONS = {
    "baseline": "The default, its parts and its baselines",
    "paper": "The paper's schedule, and what was changed of it",
    "factorial": "Factorial: order, entropy schedule",
}
TRUSTED = (
    "full", MAJORITY, "start", "no_attending_rl", "supervised_with_opinions",
    "supervised_without_opinions", "without_specialists", "without_c_marl", "paper",
)  # fmt: skip
"""Rows that the chart of tiers and trust shows."""
COLLAPSE = (
    ("paper", "plain, groups kept (paper)"),
    ("plain-dropped", "plain, groups dropped"),
    ("plain-kept-zero", "plain, kept, gamma none"),
    ("plain-kept-replay", "plain, kept, half replayed"),
    ("cumulative-kept", "cumulative, groups kept"),
    ("cumulative-dropped", "cumulative, groups dropped"),
)


def figures(results: Results) -> Mapping[str, Markup]:
    """Return the page's figures by name; those without any data are left out."""
    made = {
        "accuracy": _accuracy(results),
        "factorial": _factorial(results),
        "differences": _differences(results),
        "tiers": _tiers(results),
        "collapse": _collapse(results),
        "entropy": _curves(results, "entropy", "entropy, nats per token"),
        "variance": _curves(results, "zero_variance_share", "share of groups without variance"),
    }
    return {name: svg for name, svg in made.items() if svg is not None}


def colour_of(results: Results, name: str) -> str:
    """Return a row's colour: what kind of system it is."""
    if name in (MAJORITY, BEST, ANY):
        return "var(--s3)"
    if name == "full":
        return "var(--s1)"
    if name.startswith("supervised"):
        return "var(--s4)"
    return "var(--s2)"


def _accuracy(results: Results) -> Markup | None:
    sections: dict[str, list[Entry]] = {title: [] for title in _SECTIONS.values()}
    for name in results.names:
        estimate = results.estimate(name)
        if estimate is not None:
            group = results.group(name)
            heading = _SECTIONS["paper" if group == "cleaning" else group]
            entry = (results.title(name), estimate, colour_of(results, name))
            sections[heading].append(entry)
    shown = [(title, part) for title, part in sections.items() if part]
    return dot_chart("Accuracy on held-out cases", shown, results.estimate("full"))


def _factorial(results: Results) -> Markup | None:
    series = [
        (
            ORDER_TITLES[order],
            PALETTE[number],
            [results.estimate(factorial_row(order, schedule)) for schedule in SCHEDULES],
        )
        for number, order in enumerate(ORDERS)
    ]
    if not any(estimate for _, _, part in series for estimate in part):
        return None
    columns = [f"gamma {_SCHEDULE_NAMES[schedule]}" for schedule in SCHEDULES]
    untrained = results.estimate("no_attending_rl")
    reference = ("no attending RL", untrained) if untrained else None
    return factorial_chart("Accuracy on held-out cases", columns, series, reference)


def _differences(results: Results) -> Markup | None:
    sections = []
    colours = {"better": "var(--pass)", "worse": "var(--fail)"}
    for topic, title in TOPICS.items():
        part = [
            (c.comparison.title, c.estimate, colours.get(c.verdict, "var(--soft)"), c.stands)
            for c in results.compared.values()
            if c.comparison.topic == topic and c.estimate is not None
        ]
        if part:
            sections.append((title, part))
    return difference_chart("Paired differences, points", sections) if sections else None


def _tiers(results: Results) -> Markup | None:
    shown = [name for name in TRUSTED if results.estimate(name)]
    columns = ("easy", "medium", "hard", "follows a wrong", "abandons a right")
    keys = (*TIERS, FOLLOWED, ABANDONED)
    rows = [
        (
            results.title(name),
            [results.estimate(name, key) for key in keys],
            colour_of(results, name),
        )
        for name in shown
    ]
    title = "Accuracy on each tier; share of wrong and of right consensus followed and abandoned, %"
    return columns_chart(title, columns, rows) if rows else None


def _collapse(results: Results) -> Markup | None:
    panels = []
    for name, heading in COLLAPSE:
        if not results.estimate(name):
            continue
        series: list[Series] = []
        for key, colour in _TIER_COLOURS.items():
            places = [("no_attending_rl", key)]
            places += [(name, f"{stage}|{key}") for stage in TIERS]
            label = "all cases" if key == "accuracy" else key
            series.append((label, colour, [results.estimate(*place) for place in places]))
        panels.append((heading, series))
    columns = ("start", "stage 1", "stage 2", "stage 3")
    return stages_chart("Accuracy after each stage", columns, panels) if panels else None


def _curves(results: Results, figure: str, title: str) -> Markup | None:
    plain = {"by_tier": "paper", "zero": "plain-kept-zero"}
    rows: list[tuple[str, Mapping[str, str]]] = [
        (ORDER_TITLES[order], {s: factorial_row(order, s) for s in SCHEDULES}) for order in ORDERS
    ]
    rows.append(("easy to hard, plain stages, groups kept", plain))
    panels = []
    ends: Sequence[float] = ()
    for heading, names in rows:
        series = []
        for schedule, name in names.items():
            part = bands(results.cells(name), figure)
            ends = ends or stage_ends(results.cells(name))
            series.append((_SCHEDULE_NAMES[schedule], _COLOURS[schedule], part))
        if any(part for _, _, part in series):
            panels.append((heading, series))
    names_shown = [(f"gamma {_SCHEDULE_NAMES[s]}", _COLOURS[s]) for s in SCHEDULES]
    return curves_chart(f"{title}, over steps", panels, ends, names_shown) if panels else None
