"""The command line `mmedagent`, and how an error becomes one message and an exit code."""

import os
import sys
from collections.abc import Callable
from importlib.metadata import entry_points

import typer
import typer.exceptions
from rich.console import Console

from mmedagent.cli import consult, data, gate, recipe, report, serve, store, study, ui
from mmedagent.errors import ExitCode, MMedAgentError

app = typer.Typer(
    name="mmedagent",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help=(
        "Retrain, judge and serve the two vision-language doctors of MMedAgent-RL.\n\n"
        'Start here: `mmedagent run --recipe laptop`, then `mmedagent consult IMAGE "question" '
        "--option ... --option ...`, then `mmedagent report`.\n\n"
        "Exit codes: 0 done or pass, 1 crash, 2 usage, 10 fail, 11 underpowered, "
        "12 broken evidence, 13 bad data, 75 interrupted with a checkpoint.\n\n"
        "Decision support under study: no medical device."
    ),
)
app.add_typer(data.app, name="data")
app.add_typer(store.app, name="store")
for command in (
    serve.serve,
    consult.consult,
    ui.ui,
    report.report,
    gate.gate,
    recipe.recipe,
    study.study,
):
    app.command(name=command.__name__)(command)


def register_plugins(target: typer.Typer) -> None:
    """Let the installed packages add their commands (entry-point group `mmedagent.commands`).

    The library imports no pipeline code: `run`, `compile` and `submit` register themselves.
    """
    for entry in entry_points(group="mmedagent.commands"):
        register: Callable[[typer.Typer], None] = entry.load()
        register(target)


def main() -> None:
    """Run the command line; what a user can mend ends in one message and its exit code."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DVC_NO_ANALYTICS", "1")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    register_plugins(app)
    console = Console(stderr=True, highlight=False)
    try:
        status = app(standalone_mode=False)
    except MMedAgentError as error:
        console.print(f"[bold red]{type(error).__name__}[/]: ", end="")
        console.print(str(error), markup=False, soft_wrap=True)
        sys.exit(int(error.exit_code))
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except typer.exceptions.TyperException as error:
        error.show()  # type: ignore[attr-defined]  # Its usage errors have no public class.
        sys.exit(int(ExitCode.USAGE))
    except (typer.Abort, KeyboardInterrupt):
        console.print("interrupted")
        sys.exit(130)
    # Without standalone mode click returns the code of `raise typer.Exit(code)`.
    sys.exit(status if isinstance(status, int) else int(ExitCode.OK))


if __name__ == "__main__":
    main()
