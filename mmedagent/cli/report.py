"""`mmedagent report`: write a run's page again, and show where it is."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[
        Path | None, typer.Argument(help="A run's folder or name; the latest if left out.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Write report.html and summary.json of a run again and print where they are.

    Examples: `mmedagent report`, `mmedagent report 20250131T101500Z-1a2b3c4d --open`
    """
    from mmedagent.report.write import write_report

    page = write_report(find_run(run))
    typer.echo(page)
    if show:
        typer.launch(page.as_uri())


def find_run(run: Path | None) -> Path:
    """Return the folder of `run` (a folder, or a name under runs/), or of the latest run.

    Raises `UsageError` when there is no such run, naming those that exist.
    """
    from mmedagent.errors import UsageError
    from mmedagent.home import home_folder

    runs = home_folder() / "runs"
    candidates = [runs / "latest"] if run is None else [run, runs / run]
    for candidate in candidates:
        if (candidate / "run.json").is_file() or (candidate / "tasks").is_dir():
            return candidate.resolve()
    known = sorted((p.parent.name for p in runs.glob("[0-9]*/run.json")), reverse=True)
    there = f"There are {', '.join(known[:5])}." if known else "`mmedagent run` makes one."
    name = "no run yet" if run is None else f"no run {run}"
    raise UsageError(f"{name} under {runs}. {there}")
