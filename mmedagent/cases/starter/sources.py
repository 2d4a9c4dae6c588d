"""The table of source packages: what is fetched, pinned by sha256, under which terms."""

from functools import cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict


class Source(BaseModel):
    """One pinned package file and what it may be used for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    package: str
    version: str
    file: str
    """The wheel's or source archive's file name in the package index."""
    sha256: str
    licence: str
    """Of the package."""
    images: str
    """Where the images come from, and their own licence."""
    terms: Literal["clear", "unclear"]
    """`unclear`: the images' terms are not shipped with the package, so that only the user's own
    machine fetches them and nothing cut from them is ever committed or redistributed."""


@cache
def sources() -> tuple[Source, ...]:
    """Return the table, in its order."""
    text = resources.files(__package__).joinpath("sources.yaml").read_text()
    return tuple(Source.model_validate(row) for row in yaml.safe_load(text))
