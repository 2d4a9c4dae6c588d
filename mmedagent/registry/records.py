"""Reading the registry without MLflow: what is champion, what was judged, in milliseconds.

MLflow takes seconds to import, and a run is planned at every `make run`. So its sqlite file is read
here directly, read-only: one truth, no second copy to go stale. Read are model versions' tag
`record`, aliases, and runs' tag `judgement`; a test holds the answers equal to MLflow's own.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pydantic import ValidationError

from mmedagent.errors import BrokenEvidenceError
from mmedagent.registry.version import NONE, Judgement, VersionRecord

MODEL = "mmedagent-rl"
CHAMPION = "champion"
CHALLENGER = "challenger"
RECORD_TAG = "record"
JUDGEMENT_TAG = "judgement"


def database(home: Path) -> Path:
    """Return where the registry's sqlite file is."""
    return home / "runs" / "registry" / "mlflow.db"


def resolve_champion(home: Path) -> VersionRecord | None:
    """Return the version that the alias `champion` names, or None when there is none yet."""
    return _aliased(home, CHAMPION)


def latest_challenger(home: Path) -> VersionRecord | None:
    """Return the version that was registered last as `challenger`, or None."""
    return _aliased(home, CHALLENGER)


def find_version(home: Path, version: str) -> VersionRecord:
    """Return the registered version with this digest; raises `BrokenEvidenceError` if none has."""
    found = find_numbered(home, version)
    if found is None:
        raise BrokenEvidenceError(
            f"version {version} is not registered in {database(home)}: was the registry removed?"
        )
    return found[1]


def find_numbered(home: Path, version: str) -> tuple[int, VersionRecord] | None:
    """Return (MLflow's number, record) of the version with this digest, or None."""
    for number, record in versions(home):
        if record.version == version:
            return number, record
    return None


def versions(home: Path) -> list[tuple[int, VersionRecord]]:
    """Return (MLflow's number, record) of all versions, in the order of registration."""
    query = (
        "SELECT v.version, t.value FROM model_versions v JOIN model_version_tags t"
        " ON t.name = v.name AND t.version = v.version"
        " WHERE v.name = ? AND t.key = ? ORDER BY v.version"
    )
    rows = _rows(home, query, (MODEL, RECORD_TAG))
    return [(int(number), _parse_version(home, text)) for number, text in rows]


def judgements(home: Path) -> list[Judgement]:
    """Return all judgements, the latest first."""
    query = (
        "SELECT t.value FROM tags t JOIN runs r ON r.run_uuid = t.run_uuid"
        " WHERE t.key = ? AND r.lifecycle_stage = 'active' ORDER BY r.start_time DESC"
    )
    try:
        return [
            Judgement.model_validate_json(text) for (text,) in _rows(home, query, (JUDGEMENT_TAG,))
        ]
    except ValidationError as error:
        raise BrokenEvidenceError(f"{database(home)}: a judgement is damaged: {error}") from error


def judged_against(home: Path, planned_inputs: str) -> str:
    """Return what a run with these planned inputs is to be judged against; called at submission.

    That is the champion's version digest, or `none` when there is no champion. But if a version
    planned just so was judged before, and the champion is still the version it was judged against
    or has become that version itself, nothing has changed: then the answer of that time is given
    again, so that the recorded verdict is reused and a rerun executes nothing.
    """
    champion = resolve_champion(home)
    standing = {champion.version} if champion else set()
    for judgement in judgements(home):
        unchanged = champion is None or standing & {judgement.version, judgement.opponent}
        if judgement.planned_inputs == planned_inputs and unchanged:
            return judgement.judged_against
    return champion.version if champion else NONE


def data_of(home: Path, version: str) -> str:
    """Return the data version (DVC's md5) that the version with this digest was made of.

    A Start pair is named as `opponent` by the run that made it. `none` when no run of the registry
    names the version.
    """
    query = (
        "SELECT d.value FROM tags v JOIN tags d ON d.run_uuid = v.run_uuid"
        " JOIN runs r ON r.run_uuid = v.run_uuid"
        " WHERE v.key IN ('version', 'opponent') AND v.value = ? AND d.key = 'dataset.data'"
        " AND r.lifecycle_stage = 'active' ORDER BY r.start_time LIMIT 1"
    )
    rows = _rows(home, query, (version,))
    return rows[0][0].removesuffix(".dir") if rows else NONE


def _aliased(home: Path, alias: str) -> VersionRecord | None:
    query = (
        "SELECT t.value FROM registered_model_aliases a JOIN model_version_tags t"
        " ON t.name = a.name AND t.version = a.version"
        " WHERE a.name = ? AND a.alias = ? AND t.key = ?"
    )
    rows = _rows(home, query, (MODEL, alias, RECORD_TAG))
    return _parse_version(home, rows[0][0]) if rows else None


def _parse_version(home: Path, text: str) -> VersionRecord:
    try:
        return VersionRecord.model_validate_json(text)
    except ValidationError as error:
        raise BrokenEvidenceError(
            f"{database(home)}: the record of a version is damaged: {error}"
        ) from error


def _rows(home: Path, query: str, values: tuple[str, ...]) -> list[tuple[str, ...]]:
    path = database(home)
    if not path.exists():
        return []
    with _opened(path) as connection:
        try:
            return list(connection.execute(query, values))
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):  # MLflow was stopped while it made its tables
                return []
            raise


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as opened:
            yield opened
    except sqlite3.Error as error:
        raise BrokenEvidenceError(f"cannot read the registry {path}: {error}") from error
