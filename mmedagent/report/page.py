"""Self-contained pages: Jinja templates with autoescape, one style sheet, nothing from outside."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

DISCLAIMER = "Decision support under study: no medical device."


def render(template: str, **values: Any) -> str:
    """Render `template` of `mmedagent/report/templates` to a whole HTML page.

    Values are escaped unless they are `Markup`; a name that is not given is an error.
    """
    environment = Environment(
        loader=PackageLoader("mmedagent.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "points": points,
        "interval": interval,
        "duration": duration,
        "short": short,
        "words": words,
    }
    source = environment.loader.get_source(environment, "page.css")[0]  # type: ignore[union-attr]
    page = environment.get_template(template)
    return page.render(style=Markup(source), disclaimer=DISCLAIMER, **values)


def percent(share: float | None) -> str:
    """Return a share of 1 as percent with one decimal; `–` for None."""
    return "–" if share is None else f"{100 * share:.1f}"


def points(share: float | None) -> str:
    """Return a difference of shares in percentage points with its sign; `–` for None."""
    if share is None:
        return "–"
    rounded = f"{100 * share:+.1f}".replace("-", "−")
    return "0.0" if rounded[1:] == "0.0" else rounded


def interval(estimate: dict[str, Any] | None, signed: bool = False) -> str:
    """Return an estimate's interval, in percent or in signed points."""
    if estimate is None:
        return ""
    show = points if signed else percent
    return f"{show(estimate['lower'])} to {show(estimate['upper'])}"


def duration(seconds: float | None) -> str:
    """Return seconds as a person writes them: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds is None:
        return "–"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def short(digest: str | None) -> str:
    """Return the first 12 digits of a digest."""
    return "–" if not digest else digest[:12]


def words(name: str) -> str:
    """Return a system's or task's name as words."""
    kind, _, rest = name.partition(":")
    spaced = f"{kind} {rest}".strip().replace("_", " ").replace("-", " ")
    return spaced.replace("triage rl", "triage RL")
