"""What is registered: versions (all that decides an answer) and their judgements."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mmedagent.consultation.doctor import Sampling
from mmedagent.consultation.prompts import Style, prompts_digest
from mmedagent.digests import digest_value
from mmedagent.recipes.panel import PanelRecipe

NONE = "none"
"""In place of a version's digest: there is no champion yet."""

NO_WEIGHTS = frozenset({"curves.jsonl"})
"""What lies beside a model's weights, tells of its training and decides no answer."""

Verdict = Literal["pass", "fail", "underpowered"]


class Settings(BaseModel):
    """What decides an answer beside weights: wording, decoding, and how the panel is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    style: Style
    sampling: Sampling
    panel: PanelRecipe
    deferral_threshold: float | None = None
    """Below this confidence a consultation is deferred to a human; None never defers."""


class Weights(BaseModel):
    """Folder versions in the object store."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    triage: str
    attending: str
    panel: str | None
    """None when every specialist has an endpoint of its own."""


class VersionRecord(BaseModel):
    """One version: everything that decides an answer, and where its weights lie."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    version: str
    """The version's digest."""
    kind: Literal["start", "challenger"]
    """A warm-started pair (champion v0), or one that was trained by reinforcement learning."""
    panel: str
    """The panel's digest: its specialists' identities, their order, how they are asked."""
    prompts: str
    weights: Weights
    settings: Settings


class Judgement(BaseModel):
    """What the gate said of a version: the part of an MLflow run that decisions rest on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    version: str
    planned_inputs: str
    """The digest of all that was planned to decide the version: known before it was trained."""
    judged_against: str
    """As resolved when the run was submitted: a version's digest, or `none`."""
    opponent: str
    """The version it was measured against: `judged_against`, or v0 (the Start) for `none`."""
    verdict: Verdict
    verdict_digest: str
    run: str = Field(description="The pipeline's run, for people.")

    @property
    def key(self) -> str:
        """Names the judgement: the same one is registered once."""
        return digest_value(self.model_dump(exclude={"run"}))


def make_version(
    kind: Literal["start", "challenger"], weights: Weights, panel: str, settings: Settings
) -> VersionRecord:
    """Return the record of a version with its digest.

    `panel` is the panel's digest (`EndpointPanel.digest`). Not counted: where weights lie in the
    store, timeouts, concurrency, and whether the pair was called a Start.
    """
    prompts = prompts_digest(settings.style)
    decides = {
        "triage": weights.triage,
        "attending": weights.attending,
        "panel": panel,
        "prompts": prompts,
        "sampling": settings.sampling.model_dump(),
        "deferral_threshold": settings.deferral_threshold,
    }
    return VersionRecord(
        version=digest_value(decides),
        kind=kind,
        panel=panel,
        prompts=prompts,
        weights=weights,
        settings=settings,
    )


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested dicts as one, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
