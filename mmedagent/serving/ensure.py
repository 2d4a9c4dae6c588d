"""The laptop's driver: the desired version serves, then it is champion; one server at a time.

A running server is reused when it serves the desired version with the same settings and code.
Otherwise a new one is started beside it, asked a consultation, and only then takes its place.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from mmedagent import atomic, background
from mmedagent.background import Background
from mmedagent.digests import digest_value
from mmedagent.errors import MMedAgentError, ServingError
from mmedagent.recipes.serving import ServingRecipe
from mmedagent.registry.promote import promote
from mmedagent.registry.records import find_version, resolve_champion
from mmedagent.registry.version import VersionRecord
from mmedagent.serving.client import served_version, warm_up
from mmedagent.serving.desired import Desired, read_desired, serving_folder, write_desired
from mmedagent.serving.launch import Launch

_MODULE = "mmedagent.serving.server"
_SOURCES = ("cases", "consultation", "models", "panel", "serving")


class ServerRecord(BaseModel):
    """What `runs/serving/server.json` says of the server that serves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    process: Background
    url: str
    version: str
    settings: str
    """The digest of the serving recipe and of the code that serves."""


def ensure_server(home: Path, recipe: ServingRecipe, port: int | None = None) -> ServerRecord:
    """Make the desired version serve and let the alias `champion` name it; return the server.

    `port` overrides the recipe's. When nothing is desired, the champion is. The old server answers
    until the new one has answered a consultation, and stays if that fails.

    Raises `ServingError`: nothing to serve yet, the port is in use, the new server did not come up
    (with the end of its log); `StorageError` when weights cannot be fetched.
    """
    recipe = recipe if port is None else recipe.model_copy(update={"port": port})
    folder = serving_folder(home)
    with _locked(folder, recipe):
        record = desired_version(home)
        settings = _settings(recipe)
        running = running_server(home)
        if running is None or (running.version, running.settings) != (record.version, settings):
            running = _replace(home, record, recipe, settings, running)
        elif not _answers(running):
            background.stop(running.process, recipe.stop_seconds)
            running = _replace(home, record, recipe, settings, None)
        promote(home, record.version)
        return running


def stop_server(home: Path, grace_seconds: float = 20.0) -> bool:
    """Stop the server; tell whether one was running."""
    running = running_server(home)
    stopped = running is not None and background.stop(running.process, grace_seconds)
    (serving_folder(home) / "server.json").unlink(missing_ok=True)
    return stopped


def running_server(home: Path) -> ServerRecord | None:
    """Return the record of the server that runs, or None."""
    path = serving_folder(home) / "server.json"
    try:
        record = ServerRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ServingError(f"{path} is damaged: remove it and serve again") from error
    return record if background.is_running(record.process) else None


def desired_version(home: Path) -> VersionRecord:
    """Return the version that should be served; the champion when a deployment never said.

    Raises `ServingError` when there is neither.
    """
    desired = read_desired(home)
    if desired is None:
        champion = resolve_champion(home)
        if champion is None:
            raise ServingError(
                "there is nothing to serve yet: `mmedagent run` trains, judges and deploys a pair"
            )
        desired = Desired(version=champion.version, reason="it is the champion", run="none")
        write_desired(home, desired)
    return find_version(home, desired.version)


def prepare_launch(home: Path, record: VersionRecord, recipe: ServingRecipe, port: int) -> Path:
    """Fetch a version's weights, verified, and return the file that tells a server to serve it.

    Weights that are in the cache whole need no store.
    """
    from mmedagent.registry.weights import fetch_pair, fetch_weights
    from mmedagent.storage.store import open_store

    folder = serving_folder(home)
    store, models = open_store(), folder / "models"
    triage, attending = fetch_pair(store, record, models)
    panel = record.weights.panel
    launch = Launch(
        record=record,
        triage=triage,
        attending=attending,
        panel=fetch_weights(store, panel, models) if panel else None,
        recipe=recipe,
        port=port,
    )
    path = folder / "launches" / f"{record.version[:12]}-{port}.json"
    atomic.write_text(path, launch.model_dump_json(indent=2) + "\n")
    return path


def choose_port(recipe: ServingRecipe, running: ServerRecord | None) -> int:
    """Return the recipe's port, or a free one for 0; raises `ServingError` if it is in use."""
    if recipe.port == 0:
        return background.free_ports(1, recipe.host)[0]
    if not background.port_is_free(recipe.port, recipe.host):
        ours = running is not None and running.url.endswith(f":{recipe.port}")
        who = "our own server: `mmedagent serve --stop` first, or leave the port open (0)"
        raise ServingError(
            f"port {recipe.port} on {recipe.host} is in use by "
            + (who if ours else "another program: choose another with --port")
        )
    return recipe.port


def _replace(
    home: Path,
    record: VersionRecord,
    recipe: ServingRecipe,
    settings: str,
    old: ServerRecord | None,
) -> ServerRecord:
    """Start a server for `record`, see it answer, publish its address, stop the old one."""
    folder = serving_folder(home)
    port = choose_port(recipe, old)
    launch = prepare_launch(home, record, recipe, port)
    log = folder / f"server-{record.version[:12]}.log"
    process = background.start(
        [sys.executable, "-m", _MODULE, str(launch)],
        log,
        {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"},
    )
    atomic.write_text(folder / "starting.json", process.model_dump_json())
    new = ServerRecord(
        process=process, url=f"http://{recipe.host}:{port}", version=record.version,
        settings=settings,
    )  # fmt: skip
    try:
        _wait_ready(new, recipe)
    except BaseException:
        background.stop(process, recipe.stop_seconds)
        raise
    atomic.write_text(folder / "server.json", new.model_dump_json(indent=2) + "\n")
    (folder / "starting.json").unlink(missing_ok=True)
    if old is not None:
        background.stop(old.process, recipe.stop_seconds)
    return new


def _wait_ready(server: ServerRecord, recipe: ServingRecipe) -> None:
    """Wait until the server answers a consultation as the version it should be."""
    until = time.monotonic() + recipe.ready_seconds
    while served_version(server.url) is None:
        log = server.process.log
        if not background.is_running(server.process):
            raise ServingError(
                f"the model server ended while it started; the end of {log}:\n"
                + background.log_tail(log)
            )
        if time.monotonic() > until:
            raise ServingError(
                f"the model server was not ready within {recipe.ready_seconds:.0f} s; the end of "
                f"{log}:\n" + background.log_tail(log)
            )
        time.sleep(0.2)
    answered = warm_up(server.url, timeout=recipe.ready_seconds)
    if answered != server.version:
        raise ServingError(f"{server.url} serves {answered}, not {server.version}")


def _answers(server: ServerRecord) -> bool:
    """Tell whether a server that runs still holds consultations, panel included."""
    try:
        return warm_up(server.url, timeout=30.0) == server.version
    except MMedAgentError:
        return False


@contextmanager
def _locked(folder: Path, recipe: ServingRecipe) -> Iterator[None]:
    """Hold the folder; end what a killed command left starting."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=recipe.ready_seconds):
            left = folder / "starting.json"
            if left.exists():
                background.stop(Background.model_validate_json(left.read_bytes()))
                left.unlink()
            yield
    except Timeout as error:
        raise ServingError(f"another command holds {folder / '.lock'}: try again") from error


def _settings(recipe: ServingRecipe) -> str:
    """Return the digest of what a running server cannot change: its recipe and its code."""
    package = Path(__file__).parents[1]
    sources = {
        path.relative_to(package).as_posix(): path.read_text()
        for room in _SOURCES
        for path in sorted((package / room).rglob("*.py"))
    }
    return digest_value({"recipe": recipe.model_dump(), "sources": digest_value(sources)})
