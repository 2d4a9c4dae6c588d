"""`mmedagent study`: run the study that the paper did not, cell by cell, and write its page."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

OUT = Path("benchmarks/study")
DOCS = Path("docs")
QUICK_OUT = Path("runs/study-quick")

OutOption = Annotated[
    Path | None, typer.Option(help=f"The study's folder of JSON files. [default: {OUT}]")
]
DocsOption = Annotated[
    Path | None,
    typer.Option(
        help=f"Where study.md, study.html and the figures go. [default: {DOCS} for {OUT},"
        " else the study's folder]"
    ),
]


def study(
    recipe: Annotated[str, typer.Option("--recipe", "-r", help="A named recipe.")] = "laptop",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="A field: `training.attending.steps.hard=60`. Repeatable."),
    ] = None,
    out: OutOption = None,
    docs: DocsOption = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="Seeds: `0-4`, `0,2`. [default: 5 or 3, by what the page concludes]"),
    ] = None,
    rows: Annotated[
        list[str] | None,
        typer.Option("--rows", help="Rows by name or pattern: `full`, `*-by_tier`. Repeatable."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Cells at a time [the cores].", min=1)] = None,
    memory: Annotated[
        str | None,
        typer.Option(help="Memory of all cells together: `6G`. [default: 70 % of what is free]"),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help=f"Check the machinery, not the science; into {QUICK_OUT}."),
    ] = False,
    page_only: Annotated[
        bool, typer.Option("--page-only", help="Write the page from the cells that are there.")
    ] = False,
) -> None:
    """Train and measure every row of the study with several seeds, then write its page.

    A cell is one row with one seed. Its figures are one small JSON file, written when it is done,
    and a cell that is there is not made again: after Ctrl-C or a crash the same command goes on.
    The page (Markdown, HTML and figures) is made from these files alone.

    Examples:

        mmedagent study

        mmedagent study --rows full --rows 'easy_to_hard-*' --seeds 0-2 --out /tmp/some

        mmedagent study --jobs 8 --memory 12G

        mmedagent study --page-only

        mmedagent study --quick

    Exits 0 when every cell is there, 1 when some failed (the others are kept), 2 for a row, seed
    or recipe that does not exist, 75 when it was stopped and goes on with the same command.
    """
    from mmedagent.study.page import write_page

    place = (out or (QUICK_OUT if quick else OUT)).absolute()
    pages = docs or (DOCS if place == OUT.absolute() else place)
    console = Console(highlight=False)
    if not page_only:
        _run(console, place, recipe, overrides or [], seeds, rows or [], jobs, memory, quick)
    for path in write_page(place, pages.absolute()):
        console.print(f"  {path}", soft_wrap=True, markup=False)


def _run(
    console: Console,
    out: Path,
    recipe: str,
    overrides: list[str],
    seeds: str | None,
    patterns: list[str],
    jobs: int | None,
    memory: str | None,
    quick: bool,
) -> None:
    from mmedagent.recipes.resolve import resolve
    from mmedagent.study import agenda, opening, settings
    from mmedagent.study import memory as sizes
    from mmedagent.study.rows import ROWS
    from mmedagent.study.runner import Limits, default_jobs, run_study

    chosen = agenda.choose_rows(ROWS, patterns)
    if quick and not patterns:
        chosen = agenda.quick_rows(ROWS)
    which = agenda.parse_seeds(seeds) if seeds else None
    resolved = resolve(recipe, [*(settings.QUICK if quick else ()), *overrides])
    budget = sizes.read_size(memory) if memory else round(sizes.DEFAULT_SHARE * sizes.free_bytes())
    limits = Limits(jobs or default_jobs(), budget)
    context = opening.open_context(Path.cwd(), resolved, out, quick)
    tasks = agenda.plan(chosen, which, quick)
    console.print(
        f"  {len(tasks)} cells of {len(chosen)} rows, {limits.jobs} at a time at most, in"
        f" {budget / sizes.GIB:.1f} GiB; into {out}",
        soft_wrap=True,
    )
    run_study(context, tasks, limits, console, overrides=overrides)
