"""What was declared, against what is there: the release's digest, and what decides the chunks."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from mmedagent.cases.adding.progress import Tell, silent
from mmedagent.digests import digest_file, digest_folder, digest_value
from mmedagent.errors import BadDataError, UsageError
from mmedagent.recipes.sets import DataSetRecipe


def read_declaration(name: str, params: Path = Path("params.yaml")) -> DataSetRecipe:
    """Return the declaration of the set `name`; raises `UsageError` when there is none."""
    sets = (yaml.safe_load(params.read_text(encoding="utf-8")) or {}).get("data_sets") or {}
    if name not in sets:
        known = ", ".join(sorted(sets)) or "none"
        raise UsageError(f"{params} declares no data set {name!r} (it has: {known})")
    try:
        return DataSetRecipe.model_validate(sets[name])
    except ValidationError as error:
        raise UsageError(f"{params}: data_sets.{name}: {error}") from error


def verify_release(path: Path, sha256: str, tell: Tell = silent) -> None:
    """Compare a release with its declared digest: of the file, or of the folder as a whole.

    Raises `UsageError` when it is missing, `BadDataError` with both digests when it differs.
    """
    if not path.exists():
        raise UsageError(
            f"{path} is missing: put the release there, or declare where it is with"
            " `mmedagent data add`"
        )
    tell("verifying the release", 0, None)
    actual = digest_folder(path) if path.is_dir() else digest_file(path)
    if actual != sha256:
        raise BadDataError(
            f"{path} is not the declared release: its sha256 is {actual}, declared is {sha256}."
            " Fetch it again; or, when it was changed on purpose, `mmedagent data add` it anew"
        )


def work_key(recipe: DataSetRecipe, root: Path) -> str:
    """Return what decides the chunks: the declaration, the mapping and the code."""
    mapping = recipe.source.mapping
    return digest_value(
        {
            "recipe": recipe.model_dump(mode="json"),
            "mapping": digest_file(root / mapping) if mapping else None,
            "code": _code_digest(),
        }
    )[:16]


def _code_digest() -> str:
    folder = Path(__file__).parents[1]
    files = [path for kind in ("*.py", "*.yaml") for path in sorted(folder.rglob(kind))]
    return digest_value({str(p.relative_to(folder)): digest_file(p) for p in files})
