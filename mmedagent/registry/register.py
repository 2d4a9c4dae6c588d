"""The DAG's step `register`: the challenger as one version, with its judgement."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmedagent import atomic
from mmedagent.digests import digest_file
from mmedagent.errors import BrokenEvidenceError
from mmedagent.registry.records import CHALLENGER, MODEL, find_version
from mmedagent.registry.version import NONE, Judgement, Settings, VersionRecord, make_version
from mmedagent.registry.weights import put_weights
from mmedagent.storage.store import ObjectStore

REGISTRATION = "registration.json"


@dataclass(frozen=True)
class Trained:
    """What a run made and measured."""

    triage: Path
    attending: Path
    start_triage: Path
    start_attending: Path
    panel: Path
    metrics: Path
    """The file metrics.json."""
    verdict: Path
    """The file verdict.json."""
    curves: dict[str, Path]
    """`curves.jsonl` by stage."""


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run before it starts, and its name."""

    planned_inputs: str
    judged_against: str
    run: str
    params: dict[str, Any]
    datasets: dict[str, str]
    tags: dict[str, str]
    """Code digest, git revision."""


def register(
    trained: Trained,
    settings: Settings,
    facts: RunFacts,
    store: ObjectStore,
    home: Path,
    out: Path,
) -> dict[str, Any]:
    """Register the challenger and its judgement; write `out/registration.json`, and return it.

    On a first run (`judged_against` is `none`) the Start pair is registered too: champion v0, which
    the challenger was measured against. Weights go to the object store before anything names them.
    The alias `challenger` moves; `champion` does not: that is for whoever serves, afterwards.
    Registering the same again changes nothing. Raises `BrokenEvidenceError` for an unreadable
    verdict or curve, an unknown opponent; `StorageError`.
    """
    from mmedagent.registry.tracking import Evidence, ensure_judgement, ensure_version, tracking

    verdict, metrics = read_verdict(trained.verdict), _read_json(trained.metrics)
    challenger, opponent = _versions(trained, settings, facts, store, home)
    judgement = Judgement(
        version=challenger.version,
        planned_inputs=facts.planned_inputs,
        judged_against=facts.judged_against,
        opponent=opponent.version,
        verdict=verdict["verdict"],
        verdict_digest=digest_file(trained.verdict),
        run=facts.run,
    )
    with tracking(home) as client:
        ensure_version(client, home, opponent, _source(store, opponent))
        number = ensure_version(client, home, challenger, _source(store, challenger))
        run_id = ensure_judgement(
            client,
            judgement,
            Evidence(facts.params, facts.datasets, trained.curves, metrics, facts.tags),
        )
        client.set_model_version_tag(MODEL, str(number), "verdict", judgement.verdict)
        client.set_registered_model_alias(MODEL, CHALLENGER, str(number))
    registration = {
        "schema": 1,
        "model": MODEL,
        "number": number,
        "mlflow_run": run_id,
        "judgement": judgement.model_dump(),
        "version": challenger.model_dump(mode="json"),
        "opponent": opponent.model_dump(mode="json"),
    }
    with atomic.new_folder(out) as aside:
        atomic.write_json(aside / REGISTRATION, registration)
    return {
        "version": challenger.version,
        "number": number,
        "opponent": opponent.version,
        "verdict": judgement.verdict,
    }


def read_verdict(path: Path) -> dict[str, Any]:
    """Read verdict.json; raises `BrokenEvidenceError` unless it says pass, fail or underpowered."""
    verdict = _read_json(path)
    if verdict.get("verdict") not in ("pass", "fail", "underpowered"):
        raise BrokenEvidenceError(
            f"{path}: the verdict is {verdict.get('verdict')!r}, not pass, fail or underpowered"
        )
    return verdict


def _versions(
    trained: Trained, settings: Settings, facts: RunFacts, store: ObjectStore, home: Path
) -> tuple[VersionRecord, VersionRecord]:
    """Upload what is new and return (challenger, opponent)."""
    from mmedagent.panel.client import open_panel

    local = any(specialist.endpoint is None for specialist in settings.panel.specialists)
    folder = trained.panel if local else None
    with open_panel(settings.panel, folder) as panel:
        panel_digest = panel.digest  # read from the folder: nothing is started
    weights = put_weights(store, trained.triage, trained.attending, folder)
    challenger = make_version("challenger", weights, panel_digest, settings)
    if facts.judged_against != NONE:
        return challenger, find_version(home, facts.judged_against)
    start = put_weights(store, trained.start_triage, trained.start_attending, folder)
    return challenger, make_version("start", start, panel_digest, settings)


def _source(store: ObjectStore, record: VersionRecord) -> str:
    return f"s3://{store.config.bucket}/{store.config.versions_prefix}/{record.weights.attending}"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BrokenEvidenceError(f"cannot read {path}: {error}") from error
    if not isinstance(value, dict):
        raise BrokenEvidenceError(f"{path} holds no JSON object")
    return value
