"""Writing to MLflow: an embedded sqlite file, no server, no telemetry.

Only this module imports MLflow. Every change is made under one lock, and the tag that makes a run
or a version count is written last, so that what was killed half-way is made anew, not trusted.
"""

import json
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from mmedagent.errors import BrokenEvidenceError
from mmedagent.registry.records import (
    JUDGEMENT_TAG,
    MODEL,
    RECORD_TAG,
    database,
    find_numbered,
)
from mmedagent.registry.version import Judgement, VersionRecord, flatten

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

EXPERIMENT = "retraining"
_KEY_TAG = "judgement_key"
_BATCH = 900  # MLflow takes at most 1000 metrics, 100 parameters in one call
_PARAMS = 90


@dataclass(frozen=True)
class Evidence:
    """What a judgement's MLflow run shows beside the judgement itself."""

    params: Mapping[str, Any]
    """The recipe, nested."""
    datasets: Mapping[str, str]
    """Digest of each data set, by name."""
    curves: Mapping[str, Path]
    """`curves.jsonl` of each trained stage, by the stage's name."""
    metrics: Mapping[str, Any]
    """Figures, nested; what is no finite number is left out."""
    tags: Mapping[str, str]


@contextmanager
def tracking(home: Path) -> Iterator[Any]:
    """Yield an `MlflowClient` on the registry of `home`, made if need be, while holding its lock.

    Raises `BrokenEvidenceError` when the file is no MLflow database.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    path = database(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    uri = f"sqlite:///{path}"
    with FileLock(path.parent / ".lock"):
        try:
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            if client.get_experiment_by_name(EXPERIMENT) is None:
                artifacts = (path.parent / "artifacts").as_uri()
                client.create_experiment(EXPERIMENT, artifact_location=artifacts)
            if not client.search_registered_models(f"name='{MODEL}'"):
                client.create_registered_model(
                    MODEL, description="Triage and attending doctor: decision support under study."
                )
            yield client
        except MlflowException as error:
            raise BrokenEvidenceError(f"the registry {path} refused: {error}") from error


def ensure_version(client: Any, home: Path, record: VersionRecord, source: str) -> int:
    """Register a version unless its digest is registered; return MLflow's number of it."""
    found = find_numbered(home, record.version)
    if found is not None:
        return found[0]
    tags = {
        "version": record.version,
        "kind": record.kind,
        "triage": record.weights.triage,
        "attending": record.weights.attending,
        "panel": record.panel,
        "prompts": record.prompts,
        "deferral_threshold": str(record.settings.deferral_threshold),
        RECORD_TAG: record.model_dump_json(),
    }
    # Created with its tags in one transaction: a version is there with its record or not at all.
    made = client.create_model_version(MODEL, source=source, tags=tags)
    return int(made.version)


def ensure_judgement(client: Any, judgement: Judgement, evidence: Evidence) -> str:
    """Log a judgement as an MLflow run unless it is logged; return the run's id.

    The tag `judgement` is set last; a run without it was killed half-way and is made anew.
    """
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    for run in client.search_runs([experiment], f"tags.{_KEY_TAG} = '{judgement.key}'"):
        if JUDGEMENT_TAG in run.data.tags:
            return str(run.info.run_id)
        client.delete_run(run.info.run_id)
    run_id = str(
        client.create_run(
            experiment, run_name=judgement.run, tags={_KEY_TAG: judgement.key, **evidence.tags}
        ).info.run_id
    )
    _log_params(client, run_id, evidence.params)
    _log_datasets(client, run_id, evidence.datasets)
    for name, path in evidence.curves.items():
        _log_curves(client, run_id, name, path)
    _log_metrics(client, run_id, evidence.metrics)
    for name in ("version", "planned_inputs", "judged_against", "opponent", "verdict"):
        client.set_tag(run_id, name, getattr(judgement, name))
    client.set_tag(run_id, JUDGEMENT_TAG, judgement.model_dump_json())
    client.set_terminated(run_id)
    return run_id


def _log_params(client: Any, run_id: str, values: Mapping[str, Any]) -> None:
    from mlflow.entities import Param

    params = [Param(key, str(value)[:5000]) for key, value in flatten(dict(values)).items()]
    for start in range(0, len(params), _PARAMS):
        client.log_batch(run_id, params=params[start : start + _PARAMS])


def _log_datasets(client: Any, run_id: str, datasets: Mapping[str, str]) -> None:
    from mlflow.entities import Dataset, DatasetInput

    inputs = []
    for name, digest in datasets.items():
        source = json.dumps({"digest": digest})
        # MLflow's column takes 36 characters of a digest; the tag has all of it.
        inputs.append(DatasetInput(Dataset(name, digest[:36], "dvc", source)))
        client.set_tag(run_id, f"dataset.{name}", digest)
    client.log_inputs(run_id, inputs)


def _log_curves(client: Any, run_id: str, name: str, path: Path) -> None:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    metrics = []
    try:
        rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        for row in rows:
            step = int(row["step"])
            metrics += [
                Metric(f"{name}/{key}", float(value), now, step)
                for key, value in row.items()
                if key != "step" and _is_figure(value)
            ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BrokenEvidenceError(f"{path} holds no training curves: {error!r}") from error
    for start in range(0, len(metrics), _BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + _BATCH])


def _log_metrics(client: Any, run_id: str, values: Mapping[str, Any]) -> None:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    metrics = [
        Metric(_metric_name(key), float(value), now, 0)
        for key, value in flatten(dict(values)).items()
        if _is_figure(value)
    ]
    for start in range(0, len(metrics), _BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + _BATCH])


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _metric_name(key: str) -> str:
    """Replace what MLflow does not allow in a name."""
    allowed = "".join(c if c.isalnum() or c in "_-. /:" else "_" for c in f"evaluation.{key}")
    return allowed[:250]
