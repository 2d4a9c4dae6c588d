"""A version's weights: into the object store, and back into a local cache."""

from pathlib import Path

from filelock import FileLock

from mmedagent.registry.version import NO_WEIGHTS, VersionRecord, Weights
from mmedagent.storage.store import ObjectStore
from mmedagent.storage.versions import fetch_folder_version, put_folder_version


def put_weights(store: ObjectStore, triage: Path, attending: Path, panel: Path | None) -> Weights:
    """Upload a pair and its panel as immutable folder versions; what is there is not sent again."""
    return Weights(
        triage=put_folder_version(store, triage, skip=NO_WEIGHTS),
        attending=put_folder_version(store, attending, skip=NO_WEIGHTS),
        panel=put_folder_version(store, panel) if panel else None,
    )


def fetch_weights(store: ObjectStore, digest: str, models: Path) -> Path:
    """Return `models/<digest>`, downloaded and verified unless it is there whole."""
    models.mkdir(parents=True, exist_ok=True)
    with FileLock(models / f".{digest}.lock"):
        return fetch_folder_version(store, digest, models / digest)


def fetch_pair(store: ObjectStore, record: VersionRecord, models: Path) -> tuple[Path, Path]:
    """Return the folders of a version's triage and attending doctor, in the cache `models`."""
    return (
        fetch_weights(store, record.weights.triage, models),
        fetch_weights(store, record.weights.attending, models),
    )
