"""`mmedagent recipe`: show a recipe with everything spelt out."""

from typing import Annotated

import typer


def recipe(
    name: Annotated[str, typer.Argument(help="`laptop`, `one-gpu` or `cluster`.")] = "laptop",
    overrides: Annotated[
        list[str],
        typer.Option("--set", help="Override a field, as for `mmedagent run`. May be repeated."),
    ] = [],  # noqa: B006
) -> None:
    """Print a recipe as YAML, every field spelt out; nothing is fetched or run.

    Examples:

        mmedagent recipe one-gpu

        mmedagent recipe cluster --set training.attending.deepspeed.stage=2
    """
    from mmedagent.recipes.resolve import resolve, spell_out

    typer.echo(spell_out(resolve(name, overrides)), nl=False)
