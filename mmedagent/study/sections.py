"""The page's tables, as Markdown."""

from mmedagent.evaluation.published import ABLATION, SETS
from mmedagent.report.page import duration
from mmedagent.study.comparisons import CLAIMS, ORDERS, SCHEDULES, TOPICS, factorial_row
from mmedagent.study.context import REPORTED_POOL
from mmedagent.study.figures import COLLAPSE
from mmedagent.study.markdown import MISSING, difference, probability, share, table
from mmedagent.study.measures import ABANDONED, BEST, FAMILIAR, FOLLOWED, MAJORITY, NEW, TIERS
from mmedagent.study.prose import targets
from mmedagent.study.results import Results
from mmedagent.study.rows import ORDERS as ORDER_TITLES
from mmedagent.study.rows import SCHEDULES as SCHEDULE_TITLES

_ROUTED = (
    "full", "triage_classifier", "triage_supervised", "start", "random_specialty",
    "all_specialties", "gold_specialty",
)  # fmt: skip


def targets_table(results: Results) -> str:
    """Return what was to be reached, and whether it was."""
    return table(("to be reached", "figure", ""), targets(results), 0)


def accuracy_table(results: Results) -> str:
    """Return all rows: greedy on the reported and the selection pool, sampled, seeds."""
    rows = []
    for name in results.names:
        chosen = results.selection.find(name, "accuracy")
        estimate = results.estimate(name)
        rows.append(
            (
                results.title(name),
                f"`{name}`",
                share(estimate),
                share(results.estimate(name, "sampled")),
                MISSING if chosen is None else f"{100 * chosen.value:.1f}",
                str(estimate.seeds) if estimate else MISSING,
            )
        )
    head = ("system", "row", "accuracy, %", "sampled, %", "on validation, %", "seeds")
    return table(head, rows, 4)


def factorial_table(results: Results) -> str:
    """Return order x schedule, accuracy with its interval."""
    rows = [
        [
            ORDER_TITLES[order],
            *(share(results.estimate(factorial_row(order, schedule))) for schedule in SCHEDULES),
        ]
        for order in ORDERS
    ]
    head = ["order", *(f"gamma {SCHEDULE_TITLES[s][1]}, %" for s in SCHEDULES)]
    return table(head, rows, len(SCHEDULES))


def differences_table(results: Results) -> str:
    """Return the declared comparisons, topic by topic."""
    rows = []
    for topic, title in TOPICS.items():
        rows.append((f"**{title}**", "", "", "", ""))
        for compared in results.compared.values():
            if compared.comparison.topic == topic:
                estimate = compared.estimate
                rows.append(
                    (
                        compared.comparison.title,
                        difference(estimate),
                        probability(None if estimate is None else estimate.p),
                        probability(compared.adjusted),
                        str(estimate.seeds) if estimate else MISSING,
                    )
                )
    return table(("comparison", "points (95 %)", "p", "p, Holm", "seeds"), rows, 4)


def tiers_table(results: Results) -> str:
    """Return each row's accuracy by tier, and its rates of trust."""
    keys = (*TIERS, FOLLOWED, ABANDONED)
    rows = [
        [results.title(name), *(share(results.estimate(name, key)) for key in keys)]
        for name in results.names
        if results.estimate(name, "easy")
    ]
    head = ("system", *TIERS, "follows a wrong one", "abandons a right one")
    return table(head, rows, len(keys))


def sources_table(results: Results) -> str:
    """Return each row's accuracy on sources that the doctors were trained on, and on new ones.

    And what it gains over the attending that was not trained. Looked at after the fact: not among
    the declared comparisons.
    """
    rows = []
    for name in results.names:
        if not results.estimate(name, NEW):
            continue
        gains = [results.difference(name, "no_attending_rl", key) for key in (FAMILIAR, NEW)]
        rows.append(
            (
                results.title(name),
                share(results.estimate(name, FAMILIAR)),
                difference(gains[0]),
                share(results.estimate(name, NEW)),
                difference(gains[1]),
            )
        )
    head = (
        "system", "familiar sources, %", "− untrained, points", "new sources, %",
        "− untrained, points",
    )  # fmt: skip
    return table(head, rows, 4) if rows else ""


def stages_table(results: Results) -> str:
    """Return accuracy after each stage, all cases and by tier, of every row with stages."""
    rows = []
    for name in results.names:
        if not results.estimate(name, "easy|accuracy"):
            continue
        for key in ("accuracy", *TIERS):
            at = [results.measures.find("no_attending_rl", key)]
            at += [results.measures.find(name, f"{stage}|{key}") for stage in TIERS]
            values = [MISSING if found is None else f"{100 * found.value:.1f}" for found in at]
            shown = results.title(name) if key == "accuracy" else ""
            rows.append((shown, "all" if key == "accuracy" else key, *values))
    head = ("system", "cases", "start", "stage 1", "stage 2", "stage 3")
    return table(head, rows, 4)


def mends_table(results: Results) -> str:
    """Return what each change of the paper's schedule gains, and what it keeps of easy cases.

    `mends`: better than the paper's schedule, its interval clear of zero, and not clearly worse
    than the attending that was not trained.
    """
    rows = []
    for name, heading in (*COLLAPSE, ("full", "the default")):
        gain, left = results.difference(name, "paper"), results.difference(name, "no_attending_rl")
        if gain is None or left is None:
            continue
        mended = "yes" if gain.lower > 0 and left.upper >= 0 else "no"
        rows.append(
            (
                heading,
                MISSING if name == "paper" else mended,
                share(results.estimate(name)),
                MISSING if name == "paper" else difference(gain),
                difference(left),
                share(results.estimate(name, "easy")),
                share(results.estimate(name, ABANDONED)),
            )
        )
    head = (
        "stages", "mends", "accuracy, %", "− paper's, points", "− untrained, points",
        "easy cases, %", "abandons a right consensus, %",
    )  # fmt: skip
    return table(head, rows, 5) if rows else ""


def routing_table(results: Results) -> str:
    """Return how often each way of routing names the specialty, and what comes of it."""
    specialties = list(dict.fromkeys(results.evidence.pools[REPORTED_POOL].specialty))
    named = sorted(name for name in specialties if name is not None)
    rows = []
    for name in _ROUTED:
        estimate = results.estimate(name)
        if estimate is None:
            continue
        cells = [MISSING] * (len(named) + 1)
        if name != "all_specialties":
            each = [results.measures.find(name, f"triage|{specialty}") for specialty in named]
            values = [MISSING if found is None else f"{100 * found.value:.1f}" for found in each]
            cells = [share(results.estimate(name, "triage")), *values]
        rows.append((results.title(name), *cells, share(estimate)))
    head = ("system", "specialty named right, %", *named, "accuracy, %")
    return table(head, rows, len(named) + 2)


def heights_table(results: Results) -> str:
    """Return how right the triage doctor is before and after RL, over seeds."""
    heights: dict[str, list[float]] = {}
    for shared in results.evidence.shared.values():
        for name, value in shared.triage.items():
            if name.endswith(("_greedy", "_sampled")):
                heights.setdefault(name, []).append(float(value))
    rows = [
        (
            name.replace("_", " "),
            f"{100 * sum(values) / len(values):.1f}",
            f"{100 * min(values):.1f} to {100 * max(values):.1f}",
        )
        for name, values in heights.items()
    ]
    head = ("triage doctor", "specialty named right, mean over seeds, %", "least to most")
    return table(head, rows, 2) if rows else ""


def cost_table(results: Results) -> str:
    """Return what one consultation costs, and what the row's cells took."""
    rows = []
    for name in results.names:
        cost, cells = results.cost(name), results.cells(name)
        if cost is None:
            continue
        mean = sum(cell.cpu_seconds.total for cell in cells) / len(cells)
        rows.append(
            (
                results.title(name),
                f"{cost.specialist_calls:.1f}",
                f"{cost.prompt_tokens:.0f}",
                f"{cost.completion_tokens:.1f}",
                f"{1000 * cost.seconds:.0f}",
                duration(mean),
            )
        )
    head = (
        "system",
        "specialist calls",
        "tokens read",
        "tokens written",
        "ms",
        "CPU time of a cell",
    )
    return table(head, rows, 5)


def ablation_table(results: Results) -> str:
    """Return the paper's ablation table beside ours."""
    rows = []
    for row in ABLATION:
        name = "full" if row.system == "challenger" else row.system
        ours = results.estimate(name)
        against = results.difference(name, "full") if name != "full" else None
        published = (f"{percent:.1f}" for percent in row.percent)
        rows.append((row.title, *published, share(ours), difference(against)))
    head = ("", *SETS, "ours, %", "ours − full, points")
    return table(head, rows, 6)


def claims_table(results: Results) -> str:
    """Return the paper's claims, each with what decides it here and how it came out."""
    rows = []
    for claim in CLAIMS:
        verdict = results.judge(claim)
        found = [results.compared[name] for name in claim.comparisons]
        here = "; ".join(f"{c.comparison.title} {difference(c.estimate)}" for c in found)
        rows.append((claim.text, claim.published, here or claim.why_not, f"**{verdict}**"))
    return table(("the paper's claim", "published", "here, points", "verdict"), rows, 0)


def panel_table(results: Results) -> str:
    """Return what the panel is like: how often it agrees, and how often it is right."""
    tiers = results.measures.tiers
    rows = [
        (f"{tier} cases ({words})", f"{100 * tiers[tier].value:.1f}")
        for tier, words in zip(TIERS, ("all right", "some right", "none right"), strict=True)
    ]
    for name in (MAJORITY, BEST):
        rows.append((f"{results.title(name)} right", share(results.estimate(name))))
    return table(("share of held-out cases", "%"), rows, 1)
