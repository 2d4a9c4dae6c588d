"""The study's page from its JSON files alone: Markdown with figures, and one HTML file."""

from collections.abc import Mapping
from pathlib import Path

from markupsafe import Markup

from mmedagent.atomic import write_text
from mmedagent.study import prose, sections
from mmedagent.study.comparisons import COMPARISONS
from mmedagent.study.figures import figures
from mmedagent.study.folder import Evidence, read_evidence
from mmedagent.study.html import html_page, standalone
from mmedagent.study.markdown import figure, read_notes
from mmedagent.study.measures import DERIVED
from mmedagent.study.results import Results

NAME, FIGURES, NOTES = "study", "study", "study-notes.md"
"""The page's name, the folder of its figures, the hand-written parts: all in one folder."""
PLACES = (
    "summary", "setup", "targets", "accuracy", "factorial", "differences", "tiers", "sources",
    "collapse", "curves", "routing", "cost", "ablation", "claims", "limits",
)  # fmt: skip
"""Where a hand-written part may go: at the end of the section of that name."""

_QUICK = (
    "> **Not a study.** `--quick` runs a few steps on a few cases to see that every part works."
    " No figure below says anything about the method."
)
_MADE = (
    "<!-- Made by `mmedagent study --page-only` from the study's JSON files and study-notes.md:"
    " change those. -->"
)
_INTERVALS = (
    "Every interval is a 95 % percentile interval of one bootstrap that draws seeds and, apart from"
    " them, images with replacement; all questions on an image are drawn together. It covers what"
    " other seeds and other images of the same sources would have given. It does not cover another"
    " panel, other sources, another recipe or another size of model. Simulated studies whose truth"
    " is known fall inside it 94 to 100 times in 100: it errs on the wide side. Differences are"
    " paired: same seeds, same images, same draws. p is two-sided, from the same draws; Holm's"
    " correction is over all {family} comparisons on this page. Rows with more seeds are compared"
    " with rows with fewer on the seeds that both have."
)
_TIERS = (
    "Easy: all specialists right; medium: some; hard: none. Tiers are computed from gold after"
    " prediction, from what the panel said under that seed's trained triage, so that all rows of"
    " a seed are compared on the same cases; no model sees them. For rows without opinions,"
    " following a consensus means answering what the panel would have said."
)
_SOURCES = (
    "A source is the package or study that an image comes from. Of the {pool} pool's cases"
    " {new:.0f} % are of sources that no doctor was trained on, of the {selection} pool's"
    " {chosen:.0f} %: what is chosen on {selection} is chosen mostly on familiar ones. This table"
    " was asked for after the figures were seen; its comparisons are not among the declared ones."
)
_MENDS = (
    "Mends: better than the paper's schedule, interval clear of zero, and not clearly worse than"
    " the attending before any RL. These intervals are not corrected for their number. Below,"
    " accuracy in percent after each stage, of every row that has stages."
)
_DESCRIPTIONS = {
    "accuracy": "Accuracy of every row with its interval; the dashed line is the default",
    "factorial": "Accuracy by order of the stages and entropy schedule",
    "differences": "Paired differences; filled points stand after Holm's correction",
    "tiers": "Accuracy by tier, and trust in a consensus",
    "collapse": "Accuracy of each tier after each stage, for plain and for cumulative stages",
    "entropy": "Entropy over training steps, by order and schedule; bands are the range over seeds",
    "variance": "Groups whose rollouts all earned the same, over training steps",
}


def write_page(folder: Path, docs: Path) -> list[Path]:
    """Write `study.md`, its figures and `study.html` into `docs`; return the two pages' paths.

    Reads nothing but the study's JSON files in `folder` and `study-notes.md` in `docs`. The same
    files give the same bytes. Raises what `read_evidence` and `read_notes` raise.
    """
    files = page_files(folder, docs)
    for path, text in files.items():
        write_text(docs / path, text)
    for old in (docs / FIGURES).glob("*.svg"):
        if f"{FIGURES}/{old.name}" not in files:
            old.unlink()
    return [docs / f"{NAME}.md", docs / f"{NAME}.html"]


def page_files(folder: Path, docs: Path) -> dict[str, str]:
    """Return the content of every file of the page, by its path in `docs`."""
    evidence = read_evidence(folder)
    notes = read_notes(docs / NOTES, PLACES)
    results = Results(evidence)
    drawn = figures(results)
    text = markdown_page(results, drawn, notes)
    title = "The study" + (" (quick: no science)" if evidence.study.quick else "")
    return {
        f"{NAME}.md": text,
        f"{NAME}.html": html_page(title, text, drawn),
        **{f"{FIGURES}/{name}.svg": standalone(svg) for name, svg in drawn.items()},
    }


def markdown_page(results: Results, drawn: Mapping[str, Markup], notes: Mapping[str, str]) -> str:
    """Return the whole page as Markdown."""
    evidence = results.evidence
    blocks = ["# The study", _MADE]
    if evidence.study.quick:
        blocks.append(_QUICK)
    blocks += [prose.opening(results), notes.get("summary", "")]
    for place, title, parts in _sections(results):
        parts = [_shown(part, drawn) for part in (*parts, notes.get(place, ""))]
        if any(parts):
            blocks += [f"## {title}", *parts]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _sections(results: Results) -> list[tuple[str, str, list[str]]]:
    """Return (place, title, parts); a part `figure:<name>` is a figure, if it could be drawn."""
    family = sum(each.estimate is not None for each in results.compared.values())
    missing = _missing(results.evidence)
    return [
        ("setup", "What was run", [
            prose.run_facts(results), missing, _INTERVALS.format(family=family)]),
        ("targets", "What was to be reached", [sections.targets_table(results)]),
        ("accuracy", "Accuracy of every row", [
            "figure:accuracy", sections.panel_table(results), sections.accuracy_table(results)]),
        ("factorial", "Order of the stages against entropy schedule", [
            "Cumulative stages, beta constant: only the order and gamma's schedule differ.",
            "figure:factorial", sections.factorial_table(results)]),
        ("differences", "Paired differences", [
            "figure:differences", sections.differences_table(results)]),
        ("tiers", "Tiers, and trust in a consensus", [
            _TIERS, prose.trust_sentence(results), "figure:tiers",
            sections.tiers_table(results)]),
        ("sources", "Familiar and new sources", [
            _SOURCES.format(**prose.source_shares(results)), sections.sources_table(results)]),
        ("collapse", "The collapse of the paper's plain stages, and what mends it", [
            prose.collapse_sentence(results), "figure:collapse",
            sections.mends_table(results), _MENDS, sections.stages_table(results)]),
        ("curves", "Entropy, and groups without variance", [
            "figure:entropy", "figure:variance"]),
        ("routing", "Routing", [
            sections.routing_table(results), sections.heights_table(results)]),
        ("cost", "What a consultation costs", [sections.cost_table(results)]),
        ("ablation", "Beside the paper's ablation table", [
            "The paper's figures are single runs of a 7B model on public test sets; ours are of a"
            " tiny model on the starter data. Only the signs of the differences can be compared.",
            sections.ablation_table(results)]),
        ("claims", "What of the paper shows at this size", [
            "Verdicts are computed. Shown: every interval named lies on the claim's side of zero"
            " and stands after Holm's correction (without that: shown before correction);"
            " contradicted: one lies on the other side; otherwise not decided.",
            sections.claims_table(results)]),
        ("limits", "What this study cannot say", []),
    ]  # fmt: skip


def _shown(part: str, drawn: Mapping[str, Markup]) -> str:
    kind, _, name = part.partition("figure:")
    if kind or not name:
        return part
    return figure(name, _DESCRIPTIONS[name]) if name in drawn else ""


def _missing(evidence: Evidence) -> str:
    """Name the rows that declared comparisons need and that are not there."""
    needed = {row for c in COMPARISONS for row in (*c.left, *c.right)}
    absent = sorted(needed - set(evidence.cells) - set(DERIVED))
    if not absent:
        return ""
    return f"Not run: {', '.join(f'`{name}`' for name in absent)}."
