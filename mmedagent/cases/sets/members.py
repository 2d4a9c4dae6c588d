"""Which sets a merged set is made of: each pinned by its manifest's digest, in a small file.

That file, `data/sets/NAME.members.yaml`, is the merged set's release: its sha256 is declared like
any other's, so that the same declaration means the same cases.
"""

from collections.abc import Sequence
from pathlib import Path

import yaml

from mmedagent import atomic
from mmedagent.cases.sets.lock import DATA
from mmedagent.cases.store import read_manifest
from mmedagent.errors import BadDataError, UsageError
from mmedagent.recipes.declarations import SETS
from mmedagent.recipes.sets import DataSetRecipe

_HEADER = "# The sets that are merged, each by its manifest's digest; `mmedagent data merge`.\n"


def pin_members(root: Path, name: str, members: Sequence[str]) -> Path:
    """Write the members' file of the merged set `name` and return its path, relative to `root`.

    Raises `UsageError` when a member is named twice or is the set itself, `BadDataError` when a
    member's version is not there whole.
    """
    if len(set(members)) != len(members) or name in members:
        raise UsageError(f"{name} is merged from different sets; got {', '.join(members)}")
    pinned = {}
    for member in members:
        folder = root / DATA / member
        if not folder.is_dir():
            raise UsageError(
                f"there is no {DATA / member}: `mmedagent data pull {member}` brings it, `mmedagent"
                f" data add {member}` makes it"
            )
        pinned[member] = str(read_manifest(folder)["digest"])
    path = SETS / f"{name}.members.yaml"
    atomic.write_text(root / path, _HEADER + yaml.safe_dump(pinned, sort_keys=True))
    return path


def members_file(root: Path, recipe: DataSetRecipe) -> dict[str, str]:
    """Return member -> digest of its manifest, as pinned.

    Raises `BadDataError` when the file is none.
    """
    path = root / recipe.release
    try:
        pinned = yaml.safe_load(path.read_text(encoding="utf-8"))
        return {str(name): str(digest) for name, digest in pinned.items()}
    except (OSError, yaml.YAMLError, AttributeError) as error:
        raise BadDataError(f"{path} does not name the members of a merged set: {error}") from None
