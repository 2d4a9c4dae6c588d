"""`mmedagent data add`: declares a data set and runs its DVC stage; all of it or nothing."""

import json
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import yaml
from filelock import FileLock, Timeout
from pydantic import ValidationError

from mmedagent import atomic
from mmedagent.cases.sets.arrival import RELEASES, place_release, release_digest
from mmedagent.cases.sets.lock import DATA, LOCK, Locked, read_lock
from mmedagent.cases.sets.members import members_file
from mmedagent.cases.sets.revisions import parse
from mmedagent.cases.sets.stage import MERGED, add_stage, reproduce
from mmedagent.cases.store import read_manifest
from mmedagent.errors import (
    BadDataError,
    InterruptedWithCheckpoint,
    MMedAgentError,
    StorageError,
    UsageError,
)
from mmedagent.recipes.declarations import declaration_path, declaration_text, explain
from mmedagent.recipes.params import PARAMS, with_data_sets
from mmedagent.recipes.resolve import apply_overrides
from mmedagent.recipes.sets import OWN, DataSetRecipe
from mmedagent.storage.dvc_command import dvc

RESERVED = ("starter", "sets", "reviews", "releases", "base", "panel")
"""Names of other stages, and of folders in `data`."""
Watch = Callable[[str, int, int], None]
"""Told the phase, what is done of it, and how much there is (0 when unknown)."""


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    name: str
    source: str
    path: Path | None = None
    """The release; None for a merged set."""
    members: tuple[str, ...] = ()
    """For a merged set: the sets that it is made of."""
    mapping: Path | None = None
    languages: tuple[str, ...] = ()
    overrides: Sequence[str] = ()
    """`path.to.field=value` over the declaration's fields."""
    sha256: str | None = None
    """What the release's digest has to be, where it is known beforehand."""


@dataclass(frozen=True)
class Added:
    """A set that was added."""

    recipe: DataSetRecipe
    locked: Locked
    manifest: dict[str, Any]
    report: dict[str, Any]
    """The content of the version's `ingest.json`."""


def add_set(root: Path, request: Request, watch: Watch | None = None) -> Added:
    """Declare a data set in the repository `root`, or declare it anew, and make its version.

    Writes `data/sets/NAME.yaml`, `params.yaml` and the set's stage in `dvc.yaml`, and runs the
    stage. After an error, or Ctrl-C, all three and `dvc.lock` are as they were, and so is the
    version that was there.

    Raises:
        UsageError: a wrong name, source, path or field.
        BadDataError: the release is not the expected one, or its cases must not be taken.
        InterruptedWithCheckpoint: stopped; the same call goes on from the finished chunks.
    """
    _check(root, request)
    with _alone(root), _cleared(root), _restored(root, request.name):
        recipe, members = _recipe(root, request, watch)
        atomic.write_text(declaration_path(root, recipe.name), declaration_text(recipe))
        return _make(root, recipe, members, watch)


def rebuild_set(root: Path, recipe: DataSetRecipe, watch: Watch | None = None) -> Added:
    """Give a declared set's stage what it depends on today (reviews that came) and run it."""
    with _alone(root), _restored(root, recipe.name):
        members = tuple(members_file(root, recipe)) if recipe.source.name == MERGED else ()
        return _make(root, recipe, members, watch)


def _make(
    root: Path, recipe: DataSetRecipe, members: tuple[str, ...], watch: Watch | None
) -> Added:
    atomic.write_text(root / PARAMS, with_data_sets(root))
    if watch is not None:
        watch("DVC's stage", 0, 0)
    add_stage(root, recipe, members)
    reproduce(
        root, recipe.name, None if watch is None else lambda done, of, text: watch(text, done, of)
    )
    out = DATA / recipe.name
    locked = read_lock(root).get(out.as_posix())
    if locked is None:
        raise StorageError(f"DVC ran the stage {recipe.name} and pinned no version of {out}")
    manifest = read_manifest(root / out)
    report = json.loads((root / out / "ingest.json").read_bytes())
    return Added(recipe, locked, manifest, report)


def _check(root: Path, request: Request) -> None:
    if not (root / "dvc.yaml").is_file() or not (root / PARAMS).is_file():
        raise UsageError(f"no dvc.yaml in {root}: run this in a checkout of the project")
    if parse(request.name) != (request.name, None):  # before a path is made of it
        raise UsageError(f"{request.name!r} is no name: lower-case letters, digits and dashes")
    if request.name in RESERVED:
        raise UsageError(f"{request.name!r} is taken: a data set is not called {_or(RESERVED)}")
    _check_stage(root, request.name)
    if request.languages and request.source != "slake":
        raise UsageError(f"--language is SLAKE's: the source {request.source} has one language")
    if request.source == MERGED:
        if request.path is not None or len(request.members) < 2:
            raise UsageError("a merged set is made of two or more data sets, named one by one")
        return
    from mmedagent.cases.sources.registry import source

    source(request.source)
    if request.path is None:
        raise UsageError(f"name the release's file or folder: `data add {request.name} PATH`")
    if (request.mapping is None) == (request.source == OWN):
        raise UsageError(
            "own cases need --mapping FILE, which names the table's columns (`mmedagent data init`"
            " writes one); other sources have none"
        )


def _check_stage(root: Path, name: str) -> None:
    """Leave alone a stage that somebody wrote by hand."""
    stages = (yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8")) or {}).get("stages")
    if name in (stages or {}) and not declaration_path(root, name).is_file():
        raise UsageError(
            f"dvc.yaml has a stage {name!r} that declares no data set: choose another name"
        )


def _recipe(
    root: Path, request: Request, watch: Watch | None
) -> tuple[DataSetRecipe, tuple[str, ...]]:
    values: dict[str, Any] = {"name": request.name, "source": {"name": request.source}}
    if request.languages:
        values["source"]["languages"] = list(request.languages)
    if request.source == MERGED:
        from mmedagent.cases.sets.members import pin_members

        pinned = pin_members(root, request.name, request.members)
        values |= {"release": pinned.as_posix(), "sha256": release_digest(root / pinned)}
    else:
        assert request.path is not None  # _check has seen to it
        digest = _arrived(request, watch)
        keep = request.source != OWN
        told = None if watch is None else lambda done, of: watch("bringing it in", done, of)
        release = place_release(root, request.path, digest, keep, told)
        values |= {"release": release, "sha256": digest}
    if request.mapping is not None:
        values["source"]["mapping"] = _mapping(root, request.mapping)
    try:
        spelt = DataSetRecipe.model_validate(values).model_dump(mode="json")
        apply_overrides(spelt, request.overrides)
        return DataSetRecipe.model_validate(spelt), request.members
    except ValidationError as error:
        raise UsageError(f"data set {request.name}: {explain(error)}") from None


def _arrived(request: Request, watch: Watch | None) -> str:
    """Return the release's digest, after comparing it with the expected one."""
    assert request.path is not None
    told = None if watch is None else lambda done, of: watch("reading the release", done, of)
    digest = release_digest(request.path, told)
    if request.sha256 is not None and digest != request.sha256.lower():
        raise BadDataError(
            f"{request.path} is not the release that was asked for: its sha256 is {digest},"
            f" --sha256 says {request.sha256}. Fetch it again"
        )
    return digest


def _mapping(root: Path, mapping: Path) -> str:
    path = mapping.resolve()
    if not path.is_file():
        raise UsageError(f"{mapping} is missing: `mmedagent data init` writes a mapping file")
    if not path.is_relative_to(root.resolve()):
        raise UsageError(
            f"{mapping} lies outside the repository, which keeps it: put it below data/sets,"
            " as NAME.mapping.yaml"
        )
    return path.relative_to(root.resolve()).as_posix()


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    (root / DATA).mkdir(exist_ok=True)
    try:
        with FileLock(root / DATA / ".sets.lock", timeout=0):
            yield
    except Timeout:
        raise MMedAgentError("another `mmedagent data add` is under way: wait for it") from None


@contextmanager
def _cleared(root: Path) -> Iterator[None]:
    """Remove the releases that a failed addition brought in: they may be a hospital's raw data.

    After a stop they stay, for the same call goes on with them.
    """
    there = set((root / RELEASES).glob("*"))
    try:
        yield
    except (InterruptedWithCheckpoint, KeyboardInterrupt):
        raise
    except BaseException:
        for brought in set((root / RELEASES).glob("*")) - there:
            shutil.rmtree(brought, ignore_errors=True)
        raise


@contextmanager
def _restored(root: Path, name: str) -> Iterator[None]:
    """Put the declarations, DVC's files and the version back as they were after any error."""
    places = [root / "dvc.yaml", root / LOCK, root / PARAMS, declaration_path(root, name)]
    places.append(declaration_path(root, name).with_suffix(".members.yaml"))
    before = {path: path.read_bytes() if path.exists() else None for path in places}
    try:
        with _sigterm_raises():
            yield
    except BaseException:
        for path, data in before.items():
            if data is None:
                path.unlink(missing_ok=True)
            elif path.read_bytes() != data:
                atomic.write_bytes(path, data)
        out = (DATA / name).as_posix()
        if out in read_lock(root) and not (root / out).exists():
            with suppress(StorageError):  # it may never have been pulled
                dvc(root, ["checkout", "--quiet", name])
        raise


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Let a SIGTERM unwind the stack, so that what was begun is put back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _or(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" or {names[-1]}"
