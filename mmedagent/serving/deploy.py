"""The DAG's step `deploy`: the verdict, read as data, decides what should be served."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mmedagent import atomic
from mmedagent.digests import digest_file
from mmedagent.errors import BrokenEvidenceError
from mmedagent.registry.records import find_version, resolve_champion
from mmedagent.registry.register import read_verdict
from mmedagent.registry.version import Judgement, VersionRecord
from mmedagent.serving.desired import Desired, read_desired, write_desired

DEPLOYMENT = "deploy.json"


def deploy(verdict: Path, registration: Path, home: Path, out: Path) -> dict[str, Any]:
    """Write the desired serving version if the verdict says so; write `out/deploy.json`, return it.

    `pass`: the challenger, provided the champion is still the version it was judged against.
    Anything else leaves what is served alone; only when nothing was ever served, the Start pair
    (v0) is. `verdict` is verdict.json and `registration` registration.json of the same run.

    Raises `BrokenEvidenceError` when either cannot be read, when they do not belong together, or
    when a version is not registered: an unreadable verdict is never taken for one.
    """
    says = read_verdict(verdict)["verdict"]
    judgement = _judgement(registration)
    if judgement.verdict_digest != digest_file(verdict) or judgement.verdict != says:
        raise BrokenEvidenceError(f"{registration} was made of another verdict than {verdict}")
    champion, desired = resolve_champion(home), read_desired(home)
    target, reason = _choose(judgement, champion, desired)
    if target is not None:
        find_version(home, target)
        wanted = Desired(version=target, reason=reason, run=judgement.run)
        if desired is None or desired.version != target:
            write_desired(home, wanted)
    deployment = {
        "schema": 1,
        "verdict": says,
        "desired": target,
        "reason": reason,
        "champion": champion.version if champion else None,
    }
    with atomic.new_folder(out) as aside:
        atomic.write_json(aside / DEPLOYMENT, deployment)
    return deployment


def _choose(
    judgement: Judgement, champion: VersionRecord | None, desired: Desired | None
) -> tuple[str | None, str]:
    """Return (the version to serve or None to leave things alone, why)."""
    if judgement.verdict == "pass":
        if champion is None or champion.version in (judgement.opponent, judgement.version):
            return judgement.version, "the challenger passed the gate"
        return None, (
            f"the challenger passed against {judgement.opponent[:12]}, but meanwhile "
            f"{champion.version[:12]} became champion: run again to judge it against that"
        )
    if champion is None and desired is None:
        return judgement.opponent, (
            f"the verdict is {judgement.verdict} and nothing was served yet: the Start pair, v0"
        )
    return None, f"the verdict is {judgement.verdict}: what is served stays"


def _judgement(registration: Path) -> Judgement:
    try:
        return Judgement.model_validate(json.loads(registration.read_bytes())["judgement"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise BrokenEvidenceError(f"cannot read {registration}: {error!r}") from error
