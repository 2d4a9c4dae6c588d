"""The sentences that claim figures: computed, so that no cell can change behind their back."""

from collections.abc import Sequence

from mmedagent.report.page import duration, percent, points
from mmedagent.study.context import REPORTED_POOL, SELECTION_POOL
from mmedagent.study.markdown import difference, share
from mmedagent.study.measures import AGREED, FOLLOWED, MAJORITY, TIERS
from mmedagent.study.results import EASY_BAR, Results, cpu_seconds
from mmedagent.study.schema import Pool, Study
from mmedagent.study.statistics import Estimate

SUPERVISED = ("supervised_with_opinions", "supervised_without_opinions")
_WITH = {SUPERVISED[0]: "with opinions in the prompt", SUPERVISED[1]: "without opinions"}


def source_shares(results: Results) -> dict[str, object]:
    """Return the shares of cases of new sources, in per cent, and the pools' names."""
    pools = results.evidence.pools
    chosen, pool = pools[SELECTION_POOL], pools[REPORTED_POOL]

    def new(of: Pool) -> float:
        return 100 - 100 * sum(of.familiar) / of.size

    return {
        "pool": REPORTED_POOL, "selection": SELECTION_POOL, "new": new(pool), "chosen": new(chosen),
    }  # fmt: skip


def opening(results: Results) -> str:
    """Say where supervised training on gold answers beats reinforcement learning, if it does."""
    full = results.estimate("full")
    known = [name for name in SUPERVISED if results.estimate(name)]
    if full is None or not known:
        return "Supervised training and the default recipe have not both been run yet."
    overall = [(name, results.difference("full", name)) for name in known]
    ahead = [(name, d) for name, d in overall if d is not None and d.value < 0]
    figures = "; ".join(
        f"{_WITH[name]} {percent(_value(results.estimate(name)))} %, RL minus it {difference(d)}"
        for name, d in overall
    )
    if any(d.upper < 0 for _, d in ahead):
        first = "**Supervised training on gold answers beats reinforcement learning here.**"
    elif ahead:
        first = (
            "**Supervised training on gold answers is ahead of reinforcement learning here,"
            " though the interval does not exclude zero.**"
        )
    elif all(d is not None and d.lower > 0 for _, d in overall):
        first = "**Reinforcement learning beats supervised training on gold answers here.**"
    else:
        first = (
            "**Reinforcement learning is ahead of supervised training on gold answers here,"
            " though the interval does not exclude zero.**"
        )
    said = [
        first,
        f"The default recipe's RL answers {percent(full.value)} % of held-out cases; supervised"
        f" {figures} (points, 95 % intervals).",
    ]
    parts = _parts_where_supervision_leads(results, known)
    if parts:
        said.append(f"Supervision is better, its interval clear of zero, on {_list(parts)}.")
    elif not ahead:
        said.append("On no tier, and not when sampled, is supervision clearly better.")
    return " ".join(said)


def targets(results: Results) -> list[tuple[str, str, str]]:
    """Return (what was to be reached, figure, reached or not) for the default attending."""
    rows = []
    for name in ("full_panel_majority", "full_best_specialist", "full_start"):
        compared = results.compared[name]
        reached = compared.estimate is not None and compared.verdict == "better"
        rows.append(
            (
                f"{compared.comparison.title}: lower bound above 0",
                difference(compared.estimate),
                _reached(compared.estimate, reached),
            )
        )
    trust = results.compared["trust"].estimate
    rows.append(
        (
            "follows a wrong consensus less often than supervised, with opinions",
            difference(trust),
            _reached(trust, trust is not None and trust.value < 0),
        )
    )
    easy = results.estimate("full", "easy")
    rows.append(
        (
            f"easy cases at {EASY_BAR:.2f} or more",
            share(easy),
            _reached(easy, easy is not None and easy.value >= EASY_BAR),
        )
    )
    return rows


def run_facts(results: Results) -> str:
    """Say what was run: command, revisions, seeds, cases, CPU time."""
    evidence, measures = results.evidence, results.measures
    study, cells = evidence.study, [c for by in evidence.cells.values() for c in by.values()]
    spent = cpu_seconds(evidence)
    longest = max(cells, key=lambda c: c.cpu_seconds.total, default=None)
    revisions = sorted({c.revision for c in cells})
    counts = {r: sum(c.revision == r for c in cells) for r in revisions}
    made_at = ", ".join(f"`{r}` ({counts[r]} cells)" for r in revisions)
    lines = [
        f"- Command: `{command(study)}`",
        f"- Code: revision {made_at or 'none'}; recipe `{study.recipe_digest[:12]}`, data"
        f" `{study.data_digest[:12]}`, panel `{study.panel_digest[:12]}`, base"
        f" `{study.base_digest[:12]}`",
        f"- Cells: {len(cells)} of {len(evidence.cells)} rows; {seeds_of_rows(results)}",
        f"- Measured on {measures.cases} held-out cases of {measures.images} images (`test`);"
        f" what was chosen was chosen on {results.selection.cases} others (`validation`)",
        f"- CPU time: {duration(sum(spent.values()))}, one thread a process:"
        f" {duration(spent['shared'])} for what seeds share, {duration(spent['training'])} for"
        f" training, {duration(spent['measuring'])} for measuring"
        + (f"; the longest cell {duration(longest.cpu_seconds.total)}" if longest else ""),
    ]
    return "\n".join(lines)


def command(study: Study) -> str:
    """Return the command that makes the study's cells."""
    words = ["mmedagent study"]
    if study.recipe != "laptop":
        words.append(f"--recipe {study.recipe}")
    words += [f"--set {override}" for override in study.overrides]
    if study.quick:
        words.append("--quick")
    return " ".join(words)


def seeds_of_rows(results: Results) -> str:
    """Say how many seeds stand behind how many rows."""
    counts: dict[int, int] = {}
    for cells in results.evidence.cells.values():
        counts[len(cells)] = counts.get(len(cells), 0) + 1
    parts = [
        f"{_count(rows, 'row')} with {_count(seeds, 'seed')}"
        for seeds, rows in sorted(counts.items(), reverse=True)
    ]
    return ", ".join(parts)


def trust_sentence(results: Results) -> str:
    """Say how far the default and the supervised attending follow a wrong consensus."""
    own, other = (results.estimate(name, FOLLOWED) for name in ("full", SUPERVISED[0]))
    untrained = results.estimate("no_attending_rl", FOLLOWED)
    if own is None or other is None:
        return ""
    start = f"; the untrained attending {percent(untrained.value)} %" if untrained else ""
    agreed = results.estimate(MAJORITY, AGREED)
    share_right = percent(None if agreed is None else agreed.value)
    return (
        f"Where all specialists agree they are right in {share_right} % of cases. Where"
        " they agree on a wrong letter, the default attending follows them in"
        f" {percent(own.value)} % of cases, the supervised one with opinions in"
        f" {percent(other.value)} %{start}."
    )


def collapse_sentence(results: Results) -> str:
    """Say what the paper's plain stages do to each tier, from the untrained attending on."""
    parts = []
    for figure in ("accuracy", *TIERS):
        before = results.estimate("no_attending_rl", figure)
        after = results.estimate("paper", figure)
        if before is None or after is None:
            return ""
        name = "all cases" if figure == "accuracy" else f"{figure} cases"
        parts.append(f"{name} {percent(before.value)} to {percent(after.value)}")
    return f"The paper's plain stages, from the untrained attending on, in percent: {_list(parts)}."


def _parts_where_supervision_leads(results: Results, known: Sequence[str]) -> list[str]:
    found = []
    for name in known:
        for figure, words in (
            *((tier, f"{tier} cases") for tier in TIERS),
            ("sampled", "sampled decisions"),
        ):
            d = results.difference("full", name, figure)
            if d is not None and d.upper < 0:
                found.append(f"{words} ({_WITH[name]}, {points(-d.value)})")
    return found


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _reached(estimate: Estimate | None, reached: bool) -> str:
    return "not measured" if estimate is None else "reached" if reached else "**missed**"


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value


def _list(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
