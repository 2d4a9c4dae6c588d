"""Moving the alias `champion`: the last thing that happens, after the version serves."""

from pathlib import Path

from mmedagent.errors import BrokenEvidenceError
from mmedagent.registry.records import CHAMPION, MODEL, find_numbered, resolve_champion


def promote(home: Path, version: str) -> bool:
    """Let `champion` name `version`; tell whether it moved.

    Raises `BrokenEvidenceError` when the version is not registered.
    """
    champion = resolve_champion(home)
    if champion is not None and champion.version == version:
        return False  # without importing MLflow: most calls end here
    found = find_numbered(home, version)
    if found is None:
        raise BrokenEvidenceError(f"version {version} is not registered: it cannot be champion")
    from mmedagent.registry.tracking import tracking

    with tracking(home) as client:
        client.set_registered_model_alias(MODEL, CHAMPION, str(found[0]))
    return True
