"""What a server process is told when it is started."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from mmedagent.recipes.serving import ServingRecipe
from mmedagent.registry.version import VersionRecord


class Launch(BaseModel):
    """What a server process is told: the version, where its weights were put, where to listen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    record: VersionRecord
    triage: Path
    attending: Path
    panel: Path | None
    recipe: ServingRecipe
    port: int
