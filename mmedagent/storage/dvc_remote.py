"""DVC's remote on the object store: written to `.dvc/config.local`, which Git ignores."""

import configparser
import io
from pathlib import Path

from mmedagent import atomic
from mmedagent.errors import StorageError
from mmedagent.recipes.storage import StorageConfig

REMOTE = "store"


def set_dvc_remote(repo: Path, config: StorageConfig) -> None:
    """Make the store the default remote of the DVC project in `repo`; other settings are kept.

    What `dvc remote add --local --default` would write, without DVC's two seconds of start-up. The
    credentials stay in their file: DVC is told its path. Raises `StorageError` when `repo` is no
    DVC project.
    """
    folder = repo / ".dvc"
    if not folder.is_dir():
        raise StorageError(f"{repo} is no DVC project: it has no folder .dvc (`dvc init` makes it)")
    path = folder / "config.local"
    parser = configparser.ConfigParser(interpolation=None)
    if path.exists():
        parser.read_string(path.read_text())
    remote = {"url": f"s3://{config.bucket}/{config.dvc_prefix}", "region": config.region}
    if config.endpoint:
        remote["endpointurl"] = config.endpoint
        remote["use_ssl"] = "true" if config.endpoint.startswith("https:") else "false"
    if config.credentials:
        remote["credentialpath"] = str(config.credentials)
    if not parser.has_section("core"):
        parser.add_section("core")
    parser["core"]["remote"] = REMOTE
    parser[f"'remote \"{REMOTE}\"'"] = remote
    text = io.StringIO()
    parser.write(text)
    if not path.exists() or path.read_text() != text.getvalue():
        atomic.write_text(path, text.getvalue())
