"""DVC's remote for commands that need it: the one that is configured, else the local store."""

import configparser
from pathlib import Path

from mmedagent.home import home_folder
from mmedagent.storage.dvc_remote import set_dvc_remote
from mmedagent.storage.manifests import reach_store


def ensure_remote(root: Path) -> None:
    """Have DVC know a remote: keep the one that the project's own `.dvc/config` names.

    Otherwise it is the object store of this project, started when it is the local one. Raises
    `UsageError` when there is none.
    """
    config = configparser.ConfigParser(interpolation=None)
    config.read(root / ".dvc" / "config")
    if not config.get("core", "remote", fallback=""):
        set_dvc_remote(root, reach_store(home_folder()).config)
