"""Where a project's state lives: the folder that holds `runs/`."""

import os
from pathlib import Path

HOME_VARIABLE = "MMEDAGENT_HOME"


def home_folder() -> Path:
    """Return `$MMEDAGENT_HOME`, or the current folder: the one that `runs/` is (made) in."""
    return Path(os.environ.get(HOME_VARIABLE) or Path.cwd()).absolute()
