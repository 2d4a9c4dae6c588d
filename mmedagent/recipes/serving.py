"""How the promoted pair is served, and what a request may ask of the server."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class ServingRecipe(BaseModel):
    """The model server and its limits. What decides an answer is the version's, not this recipe's.

    Changing a field restarts the server and retrains nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    """The address listened on. There is no authentication: keep it on loopback, or behind a
    gateway that has some."""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """0 chooses a free port; `runs/serving/server.json` and `mmedagent consult` know it."""
    image_bytes: Annotated[int, Field(ge=1)] = 8 * 2**20
    """Larger encoded images are refused."""
    image_pixels: Annotated[int, Field(ge=1)] = 40_000_000
    """Images with more pixels are refused before they are decoded."""
    question_characters: Annotated[int, Field(ge=1)] = 2_000
    option_characters: Annotated[int, Field(ge=1)] = 500
    batch: Annotated[int, Field(ge=1)] = 16
    """Most questions in one request."""
    votes: Annotated[int, Field(ge=1)] = 16
    """Most decisions that a request may have drawn for a vote on each of its questions; 1 allows
    single consultations alone."""
    ready_seconds: Annotated[float, Field(gt=0)] = 180.0
    """How long a new server may take until its first consultation is answered."""
    stop_seconds: Annotated[float, Field(gt=0)] = 20.0
    """How long a server may finish what it is at when it is told to stop."""
