"""The panel folder: `panel.json` and one model folder a specialist."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmedagent.digests import digest_folder, digest_value
from mmedagent.errors import BrokenEvidenceError

MANIFEST = "panel.json"
_ENTRY = ("name", "path", "digest")


@dataclass(frozen=True)
class PanelMember:
    """One specialist's weights."""

    name: str
    path: Path
    digest: str
    """Of the model folder: what the server reports as `system_fingerprint`."""


@dataclass(frozen=True)
class PanelFolder:
    """The laptop's panel as it lies on disk."""

    members: tuple[PanelMember, ...]
    digest: str

    @property
    def digests(self) -> dict[str, str]:
        """The weights digest of each specialist, by name."""
        return {member.name: member.digest for member in self.members}


def panel_manifest(digests: dict[str, str], folds: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the content of `panel.json` for specialists whose folders bear their names.

    `folds`, of a cross-fitted panel: its fold panels and each subject's fold (`folds.read_folds`).
    """
    specialists = [{"name": n, "path": n, "digest": digest} for n, digest in digests.items()]
    content: dict[str, Any] = {"specialists": specialists}
    if folds is not None:
        content["folds"] = folds
    return {"schema": 1, **content, "digest": _digest(content)}


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return `panel.json`, verified against its own digest; the weights are not looked at.

    Raises `BrokenEvidenceError` when it is missing, unreadable or changed.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        if manifest["digest"] != _digest(manifest):
            raise BrokenEvidenceError(f"{folder / MANIFEST}: changed since it was written")
    except FileNotFoundError:
        raise BrokenEvidenceError(
            f"{folder}: no {MANIFEST} there; `dvc repro panel` trains the laptop's panel"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenEvidenceError(f"{folder / MANIFEST}: not a panel manifest: {error!r}") from None
    return manifest


def _digest(manifest: dict[str, Any]) -> str:
    if "folds" not in manifest:
        return digest_value(manifest["specialists"])
    return digest_value({name: manifest[name] for name in ("specialists", "folds")})


def read_panel_folder(folder: Path) -> PanelFolder:
    """Read a panel folder and verify the digest of every file of its specialists.

    Raises `BrokenEvidenceError` when the folder or its manifest is missing or unreadable, or when
    weights differ from what the manifest says: a panel is frozen.
    """
    manifest = read_manifest(folder)
    try:
        entries = [tuple(str(s[k]) for k in _ENTRY) for s in manifest["specialists"]]
    except (KeyError, TypeError) as error:
        raise BrokenEvidenceError(f"{folder / MANIFEST}: not a panel manifest: {error!r}") from None
    members = []
    for name, path, expected in entries:
        actual = digest_folder(folder / path)
        if actual != expected:
            raise BrokenEvidenceError(
                f"specialist {name}: the files in {folder / path} are not those of {MANIFEST}"
                f" (sha256 {actual[:12]}, expected {expected[:12]})"
            )
        members.append(PanelMember(name, folder / path, expected))
    return PanelFolder(tuple(members), str(manifest["digest"]))
