"""The commands `run`, `compile` and `submit`, which the console script finds by entry point."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

RecipeName = Annotated[
    str, typer.Option("--recipe", "-r", help="A named recipe: `laptop`, `one-gpu`, `cluster`.")
]
Overrides = Annotated[
    list[str],
    typer.Option(
        "--set", help="Override a field: `--set training.triage.steps=20`. May be repeated."
    ),
]
Data = Annotated[
    str,
    typer.Option(
        help="The data version: a set's NAME, or NAME@REVISION (a Git revision, md5 or manifest"
        " digest). The working tree has to have that version."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (run, compile_, submit):
        app.command(name=command.__name__.strip("_"))(command)


def run(
    recipe: RecipeName = "laptop",
    overrides: Overrides = [],  # noqa: B006
    data: Data = "starter",
    serve: Annotated[
        bool, typer.Option(help="Afterwards let the served version answer one question.")
    ] = True,
    parallel: Annotated[
        int, typer.Option(min=1, help="Tasks without an edge between them, side by side.")
    ] = min(2, os.cpu_count() or 1),
) -> None:
    """Retrain, judge, register, deploy and report on this machine.

    What is done is not repeated: run it again after a change and only the steps that depend on
    the change run; run it again after a crash and it goes on where it was. Exits 0, 10 or 11 by
    the verdict (pass, fail, underpowered).

    Examples:

        mmedagent run --recipe laptop

        mmedagent run --set training.triage.steps=20 --set evaluation.samples=0 --no-serve

        mmedagent run --data vqa-rad@v1.0
    """
    from pipelines.run import Options
    from pipelines.run import run as run_pipeline

    options = Options(data=data, serve=serve, parallel=parallel)
    raise typer.Exit(run_pipeline(recipe, overrides, options, Console()))


def compile_(
    output: Annotated[Path, typer.Option("--output", "-o", help="The YAML file to write.")],
    recipe: RecipeName = "laptop",
    overrides: Overrides = [],  # noqa: B006
    data: Data = "starter",
    champion: Annotated[
        str, typer.Option(help="The version that challengers are judged against.")
    ] = "none",
) -> None:
    """Write the pipeline for a Kubeflow cluster, with the recipe's plan as default arguments.

    The same recipe, code and data versions give the same bytes.

    Examples:

        mmedagent compile --recipe laptop --output pipeline.yaml
    """
    from mmedagent.errors import UsageError
    from mmedagent.recipes.resolve import resolve
    from pipelines.compile import compile_pipeline
    from pipelines.plan import make_plan
    from pipelines.prepare import check_checkout, read_versions

    root = Path.cwd()
    resolved = resolve(recipe, overrides)
    try:
        check_checkout(root, resolved)
    except UsageError as error:
        typer.echo(
            f"note: the plan's data, base and panel are not yet this recipe's: {error}", err=True
        )
    plan = make_plan(root, resolved, read_versions(root, data), lambda _inputs: champion)
    compile_pipeline(plan, output)
    typer.echo(f"{output}  plan {plan.digest[:8]}")


def submit(
    host: Annotated[str, typer.Option(help="The pipeline server's address.")],
    recipe: RecipeName = "laptop",
    overrides: Overrides = [],  # noqa: B006
    data: Data = "starter",
    experiment: Annotated[str, typer.Option(help="The experiment to file it under.")] = "mmedagent",
) -> None:
    """Start a run on a Kubeflow cluster: plan here, resolve the champion, compile, create the run.

    Examples:

        kubectl port-forward svc/ml-pipeline-ui 8080:80 -n kubeflow &
        mmedagent submit --recipe laptop --host http://localhost:8080
    """
    from mmedagent.home import home_folder
    from mmedagent.recipes.resolve import resolve
    from mmedagent.registry.records import data_of, judged_against
    from pipelines.plan import make_plan
    from pipelines.prepare import check_checkout, checked_versions
    from pipelines.submit import submit as submit_run

    root, home = Path.cwd(), home_folder()
    resolved = resolve(recipe, overrides)
    check_checkout(root, resolved)
    plan = make_plan(
        root,
        resolved,
        checked_versions(root, data),
        lambda inputs: judged_against(home, inputs),
        lambda version: data_of(home, version),
    )
    typer.echo(submit_run(plan, host, experiment, plan.digest[:8]))
