"""The comparison of two data versions as one self-contained page."""

from typing import Any

from mmedagent.cases.case import POOLS
from mmedagent.report.data_charts import flow_chart, histogram_chart, pairs_chart
from mmedagent.report.page import render

_IDS = 200
"""So many ids of each kind are on the page; the JSON form has more."""
_UNITS = {
    "question length": "characters; share of cases",
    "longer side of images": "pixels; share of images",
}


def diff_page(comparison: dict[str, Any]) -> str:
    """Return a comparison (`Comparison.as_dict`) as an HTML page that loads nothing."""
    cases = comparison["cases"]
    listed = {
        "came": cases["ids"]["came"],
        "went": cases["ids"]["went"],
        "changed": [f"{name}  ({', '.join(fields)})" for name, fields in cases["ids"]["changed"]],
    }
    counts = {
        "came": sum(cases["came"].values()),
        "went": sum(cases["went"].values()),
        "changed": cases["changed_cases"],
    }
    return render(
        "data_diff.html.j2",
        comparison=comparison,
        sentence=sentence(comparison),
        counts=counts,
        pools=_pools(cases),
        flow=flow_chart(cases),
        figures=[_figure(moved) for moved in comparison["distributions"]],
        ids={kind: names[:_IDS] for kind, names in listed.items()},
    )


def sentence(comparison: dict[str, Any]) -> str:
    """Return the comparison in one sentence."""
    before, after = comparison["before"]["label"], comparison["after"]["label"]
    cases = comparison["cases"]
    if comparison["same"]:
        return f"{before} and {after} hold the same {_cases(cases['after'])}."
    came, went = sum(cases["came"].values()), sum(cases["went"].values())
    return (
        f"From {before} to {after}: {_cases(came)} came, {went:,} went and"
        f" {cases['changed_cases']:,} changed."
    )


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count:,} cases"


def _pools(cases: dict[str, Any]) -> list[dict[str, Any]]:
    names = dict.fromkeys([*cases["came"], *cases["went"]])
    moves = [(move["from"], move["to"], move["cases"]) for move in cases["moved"]]
    names |= dict.fromkeys([pool for move in moves for pool in move[:2]])
    return [
        {
            "pool": name.replace("_", " "),
            "came": cases["came"].get(name, 0),
            "went": cases["went"].get(name, 0),
            "moved_in": sum(count for _, target, count in moves if target == name),
            "moved_out": sum(count for source, _, count in moves if source == name),
        }
        for name in sorted(names, key=_pool_place)
    ]


def _pool_place(name: str) -> tuple[int, str]:
    return (list(POOLS).index(name) if name in POOLS else len(POOLS), name)


def _figure(moved: dict[str, Any]) -> dict[str, Any]:
    """Return a distribution's chart and what is said beside it."""
    if moved["kind"] == "categories":
        drawn = pairs_chart(moved["name"], moved["before"], moved["after"])
        shown = len({*moved["before"], *moved["after"]})
        notes = []
        if shown > 12:
            notes.append(f"the 12 of {shown:,} that moved furthest")
        if moved["unnamed"]:
            low, high = moved["unnamed_cases"]
            notes.append(
                f"{moved['unnamed']:,} categories with too few cases to be named"
                f" hold {low:,} and {high:,} cases"
            )
    else:
        before, after = (
            {int(value): count for value, count in moved[side].items()}
            for side in ("before", "after")
        )
        drawn = histogram_chart(moved["name"], before, after)
        middle = moved["quantiles"]["0.5"]
        notes = [_UNITS.get(moved["name"], ""), f"median {middle[0]} before, {middle[1]} after"]
    return {
        "name": moved["name"],
        "distance": moved["distance"],
        "chart": drawn,
        "note": "; ".join(note for note in notes if note),
    }
