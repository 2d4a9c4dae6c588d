"""`mmedagent serve`: the model server of the desired version."""

import os
import sys
from typing import Annotated, Protocol

import typer
from rich.console import Console

from mmedagent.errors import UsageError
from mmedagent.home import home_folder


def serve(
    ensure: Annotated[
        bool, typer.Option("--ensure", help="Start it in the background, or reuse what runs.")
    ] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the background server.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Say what serves, and where.")] = False,
    port: Annotated[
        int | None, typer.Option(help="Listen on this port; the default is a free one.", min=1)
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="Take the section `serving` of this recipe.")
    ] = "laptop",
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Override a field of the recipe.")
    ] = None,
) -> None:
    """Serve the pair that the last passing verdict deployed, with its panel (KServe, loopback).

    Without an option it serves in this terminal until Ctrl-C. With `--ensure` a server is started
    in the background, asked one consultation, and then replaces the one before; the registry's
    alias `champion` moves last.

    Examples:

        mmedagent serve --ensure

        mmedagent serve --ensure --port 8080

        mmedagent serve --status

        mmedagent serve --ensure --set serving.image_bytes=1000000

        curl -s $URL/v2/models/mmedagent/ready      (URL: see --status; /metrics is there too)
    """
    if ensure + stop + status > 1:
        raise UsageError("--ensure, --stop and --status exclude one another")
    console = Console(highlight=False)
    if status:
        _status(console)
    elif stop:
        from mmedagent.serving.ensure import stop_server

        stopped = stop_server(home_folder())
        console.print("stopped" if stopped else "no server was running")
    else:
        _start(console, ensure, port, recipe, overrides or [])


def _start(
    console: Console, ensure: bool, port: int | None, name: str, overrides: list[str]
) -> None:
    from mmedagent.recipes.resolve import resolve
    from mmedagent.serving import ensure as driver
    from mmedagent.storage.local import ensure_local_store

    home, recipe = home_folder(), resolve(name, overrides).serving
    driver.desired_version(home)  # before anything is started: is there something to serve?
    if "MMEDAGENT_S3_BUCKET" not in os.environ:
        os.environ.update(ensure_local_store(home).environment())
    if ensure:
        with console.status("starting the model server"):
            server = driver.ensure_server(home, recipe, port)
        console.print(f"version {server.version[:12]} serves at {server.url}")
        return
    recipe = recipe if port is None else recipe.model_copy(update={"port": port})
    chosen = driver.choose_port(recipe, driver.running_server(home))
    launch = driver.prepare_launch(home, driver.desired_version(home), recipe, chosen)
    console.print(f"serving at http://{recipe.host}:{chosen}; Ctrl-C stops")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.execv(sys.executable, [sys.executable, "-m", "mmedagent.serving.server", str(launch)])


def _status(console: Console) -> None:
    from mmedagent.registry.records import latest_challenger, resolve_champion
    from mmedagent.serving.client import served_version
    from mmedagent.serving.desired import read_desired
    from mmedagent.serving.ensure import running_server

    home = home_folder()
    server, desired = running_server(home), read_desired(home)
    champion, challenger = resolve_champion(home), latest_challenger(home)
    console.print(f"desired     {_short(desired)}")
    if desired:
        console.print(f"            because {desired.reason}")
    console.print(f"champion    {_short(champion)}")
    console.print(f"challenger  {_short(challenger)}")
    if server is None:
        console.print("serving     nothing; `mmedagent serve --ensure` starts the desired version")
        return
    answers = served_version(server.url) == server.version
    console.print(f"serving     {_short(server)} at {server.url}, pid {server.process.pid}")
    console.print(f"            {'it answers' if answers else 'IT DOES NOT ANSWER'}")
    console.print(f"log         {server.process.log}", soft_wrap=True)


class _Versioned(Protocol):
    @property
    def version(self) -> str: ...


def _short(named: _Versioned | None) -> str:
    return named.version[:12] if named else "none"
