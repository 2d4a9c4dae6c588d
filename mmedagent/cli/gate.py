"""`mmedagent gate`: judge a table of predictions."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def gate(
    predictions: Annotated[Path, typer.Argument(help="predictions.parquet, or its folder.")],
    out: Annotated[Path, typer.Option(help="Where verdict.json and verdict.html go.")],
    recipe: Annotated[str, typer.Option(help="The recipe whose policy decides.")] = "laptop",
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="A field of the recipe: gate.margin=0.03")
    ] = None,
    cases: Annotated[
        Path | None, typer.Option(help="Data version to check the predictions against.")
    ] = None,
) -> None:
    """Judge challenger against champion and panel majority: pass, fail or underpowered.

    Example: `mmedagent gate evaluation/ --out verdict/ --cases data/starter`

    Exits 0 on pass, 10 on fail, 11 when the evidence cannot decide, 12 when it is broken.
    """
    from mmedagent.cases.store import read_cases
    from mmedagent.gate.decide import decide
    from mmedagent.recipes.resolve import resolve

    policy = resolve(recipe, overrides or []).gate
    known = None if cases is None else read_cases(cases)
    verdict = decide(predictions, policy, out, known)
    console = Console(highlight=False)
    colour = {"pass": "green", "fail": "red"}.get(verdict.verdict, "yellow")
    console.print(f"[bold {colour}]{verdict.verdict}[/]  {verdict.sentence}")
    for reason in verdict.reasons:
        console.print(f"  {reason}")
    console.print(f"  {out / 'verdict.html'}", soft_wrap=True)
    raise typer.Exit(int(verdict.exit_code))
