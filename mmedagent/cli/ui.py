"""`mmedagent ui`: MLflow's pages on the registry."""

import os
import sys
from typing import Annotated

import typer

from mmedagent.errors import ServingError, UsageError
from mmedagent.home import home_folder


def ui(
    port: Annotated[int, typer.Option(help="Listen on this port of loopback.", min=1)] = 5000,
) -> None:
    """Open MLflow on the registry: runs with their curves, versions, champion and challenger.

    It serves on loopback until Ctrl-C.

    Examples:

        mmedagent ui

        mmedagent ui --port 5050
    """
    from mmedagent import background
    from mmedagent.registry.records import database

    path = database(home_folder())
    if not path.exists():
        raise UsageError(f"there is no registry yet at {path}: `mmedagent run` makes it")
    if not background.port_is_free(port):
        raise ServingError(f"port {port} is in use: choose another with --port")
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # eight processes for no job
    typer.echo(f"MLflow at http://{background.LOOPBACK}:{port}; Ctrl-C stops")
    command = ["-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{path}"]
    artifacts = (path.parent / "artifacts").as_uri()
    command += ["--no-serve-artifacts", "--default-artifact-root", artifacts]
    place = ["--host", background.LOOPBACK, "--port", str(port), "--workers", "1"]
    os.execv(sys.executable, [sys.executable, *command, *place])
