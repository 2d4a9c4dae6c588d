"""`mmedagent store`: the local object store."""

import shlex
from typing import Annotated

import typer
from rich.console import Console

from mmedagent.home import home_folder

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "The local object store (SeaweedFS, S3 on loopback): DVC's remote, and the home of "
        "promoted weights. `mmedagent run` and `mmedagent serve` start it by themselves."
    ),
)
_console = Console(highlight=False)


@app.command()
def start(
    port: Annotated[
        int | None, typer.Option(help="Listen on this port; the default is a free one.", min=1)
    ] = None,
) -> None:
    """Start the store, or say where it runs; make it DVC's default remote here.

    Examples:

        mmedagent store start

        mmedagent store start --port 8333

        mmedagent store start && dvc push
    """
    from mmedagent.storage.dvc_remote import set_dvc_remote
    from mmedagent.storage.local import ensure_local_store

    home = home_folder()
    with _console.status("starting the object store"):
        config = ensure_local_store(home, port)
    if (home / ".dvc").is_dir():
        set_dvc_remote(home, config)
    _console.print(f"the object store is at {config.endpoint}, bucket {config.bucket}")


@app.command()
def stop() -> None:
    """Stop the store; its data stays under `runs/storage/`.

    Examples:

        mmedagent store stop
    """
    from mmedagent.storage.local import stop_local_store

    stopped = stop_local_store(home_folder())
    _console.print("stopped" if stopped else "the object store was not running")


@app.command()
def status() -> None:
    """Say whether the store runs, where, and what it holds.

    Examples:

        mmedagent store status
    """
    from mmedagent.storage.local import local_store_record
    from mmedagent.storage.store import ObjectStore

    record = local_store_record(home_folder())
    if record is None:
        _console.print("the object store is not running; `mmedagent store start` starts it")
        return
    store = ObjectStore(record.config)
    _console.print(
        f"the object store is at {record.config.endpoint}, bucket {record.config.bucket}, "
        f"pid {record.process.pid}"
    )
    for name, prefix in (("data (DVC)", "dvc/"), ("versions", "versions/")):
        sizes = [size for _, size in store.list(prefix)]
        _console.print(f"  {name:<10}  {len(sizes):>6} objects  {sum(sizes) / 2**20:>9.1f} MiB")
    _console.print(f"  log         {record.process.log}", soft_wrap=True)


@app.command()
def env() -> None:
    """Print the variables that point boto3, the AWS tools and this project at the store.

    Examples:

        eval "$(mmedagent store env)"
    """
    from mmedagent.storage.local import ensure_local_store

    for name, value in ensure_local_store(home_folder()).environment().items():
        typer.echo(f"export {name}={shlex.quote(value)}")
