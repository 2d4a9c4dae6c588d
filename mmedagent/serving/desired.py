"""Which version should be served: `runs/serving/desired.json`, written by the DAG's last step.

The desired version and the served one are two things: a server is started or replaced outside the
DAG (`mmedagent.serving.ensure`), and the alias `champion` follows what serves.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mmedagent import atomic
from mmedagent.errors import ServingError


class Desired(BaseModel):
    """The version that should be served, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    version: str
    reason: str
    run: str
    """The pipeline's run that asked for it."""


def serving_folder(home: Path) -> Path:
    """Return where the desired version, server records and logs are."""
    return home / "runs" / "serving"


def read_desired(home: Path) -> Desired | None:
    """Return the desired version, or None before the first deployment.

    Raises `ServingError` when the file is damaged.
    """
    path = serving_folder(home) / "desired.json"
    try:
        return Desired.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ServingError(
            f"{path} is damaged; remove it to serve the champion: {error}"
        ) from error


def write_desired(home: Path, desired: Desired) -> None:
    """Replace the desired version, whole or not at all."""
    path = serving_folder(home) / "desired.json"
    atomic.write_text(path, desired.model_dump_json(indent=2) + "\n")
