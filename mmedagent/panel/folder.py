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


def panel_manifest(digests: dict[str, str]) -> dict[str, Any]:
    """Return the content of `panel.json` for specialists whose folders bear their names."""
    specialists = [{"name": n, "path": n, "digest": digest} for n, digest in digests.items()]
    return {"schema": 1, "specialists": specialists, "digest": digest_value(specialists)}


def read_panel_folder(folder: Path) -> PanelFolder:
    """Read a panel folder and verify the digest of every file in it.

    Raises `BrokenEvidenceError` when the folder or its manifest is missing or unreadable, or when
    weights differ from what the manifest says: a panel is frozen.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        entries = [tuple(str(s[k]) for k in _ENTRY) for s in manifest["specialists"]]
        digest = str(manifest["digest"])
    except FileNotFoundError:
        raise BrokenEvidenceError(
            f"{folder}: no {MANIFEST} there; `dvc repro panel` trains the laptop's panel"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenEvidenceError(f"{folder / MANIFEST}: not a panel manifest: {error!r}") from None
    if digest != digest_value(manifest["specialists"]):
        raise BrokenEvidenceError(f"{folder / MANIFEST}: changed since it was written")
    members = []
    for name, path, expected in entries:
        actual = digest_folder(folder / path)
        if actual != expected:
            raise BrokenEvidenceError(
                f"specialist {name}: the files in {folder / path} are not those of {MANIFEST}"
                f" (sha256 {actual[:12]}, expected {expected[:12]})"
            )
        members.append(PanelMember(name, folder / path, expected))
    return PanelFolder(tuple(members), digest)
