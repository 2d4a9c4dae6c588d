"""Finding a known layout in a release, whatever folder it was packed in."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import PurePosixPath

from mmedagent.cases.sources.contract import SourceImage, Split
from mmedagent.cases.sources.release import Release
from mmedagent.errors import BadDataError, UsageError

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_SPLIT_WORDS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "validate": "validation",
    "val": "validation",
    "test": "test",
}


def find(release: Release, *tails: str) -> str | None:
    """Return the member whose path ends in one of `tails`, the first of them that is there.

    Raises `UsageError` when several do: it cannot be told which is meant.
    """
    for tail in tails:
        ends = f"/{tail}"
        found = [name for name in release.names() if name == tail or name.endswith(ends)]
        if len(found) > 1:
            raise UsageError(
                f"{release.path}: {len(found)} files are named {tail}; give the folder of one"
            )
        if found:
            return found[0]
    return None


def base_of(name: str, tail: str) -> str:
    """Return what stands before `tail` in a member's name: empty, or a folder with its slash."""
    return name.removesuffix(tail)


def parquet_splits(release: Release, words: dict[str, Split] | None = None) -> dict[str, Split]:
    """Return the release's Parquet files with their splits: train, validation, test, by name.

    The split is in the file's name or that of a folder above it, as the hub writes them
    (`data/train-00000-of-00002.parquet`, `default/train/0000.parquet`). Raises `UsageError` when it
    is in neither.
    """
    found: dict[str, Split] = {}
    for name in release.names():
        if name.endswith(".parquet"):
            split = split_of(name, words or _SPLIT_WORDS)
            if split is None:
                raise UsageError(
                    f"{release.path}: cannot tell the split of {name}; name the file as the hub"
                    " does, `train-00000-of-00001.parquet`"
                )
            found[name] = split
    order = {name: (SPLITS.index(split), name) for name, split in found.items()}
    return {name: found[name] for name in sorted(found, key=lambda name: order[name])}


def split_of(name: str, words: dict[str, Split]) -> Split | None:
    """Return the split that a file's name begins with, or the nearest folder above it has."""
    for part in reversed(PurePosixPath(name).parts):
        word = re.split(r"[^a-z]", part.lower())[0]
        if word in words:
            return words[word]
    return None


class Pictures:
    """The image files of a release: below one of several folders, or in a zip file beside them."""

    def __init__(self, release: Release, base: str, folders: Sequence[str], archive: str) -> None:
        self._release = release
        self._places = [f"{base}{folder}/" for folder in folders]
        self._inner: Release | None = None
        self._inner_places = ["", *(f"{folder}/" for folder in folders)]
        if not any(name.startswith(tuple(self._places)) for name in release.names()):
            if f"{base}{archive}" not in release:
                raise UsageError(
                    f"{release.path}: neither a folder {folders[0]} nor {archive} with the images;"
                    " fetch the images too"
                )
            self._inner = release.nested(f"{base}{archive}")

    def __getitem__(self, tail: str) -> SourceImage:
        """Return the image; reading it raises `BadDataError` when it is not there."""
        release, places = self._release, self._places
        if self._inner is not None:
            release, places = self._inner, self._inner_places
        name = next((f"{place}{tail}" for place in places if f"{place}{tail}" in release), None)
        name = name or f"{places[0]}{tail}"
        return SourceImage(release.place(name), partial(release.read, name))


class Keys:
    """Keeps a source's ids apart: one that comes again gets `~2`, `~3`, ... in the table's order.

    It holds the ids of one table, which is little beside everything else of a question.
    """

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def of(self, key: str) -> str:
        """Return `key`, or what makes it the only one of its kind."""
        self._seen[key] += 1
        return key if self._seen[key] == 1 else f"{key}~{self._seen[key]}"


def unknown(release: Release, title: str, wanted: Sequence[str]) -> UsageError:
    """Return the error of a release in none of a source's layouts."""
    return UsageError(
        f"{release.path} is no release of {title}: it has none of {', '.join(wanted)}"
        f" ({len(release.names())} files seen)"
    )


def text_of(row: dict[str, object], column: str, place: str, lines: bool = False) -> str:
    """Return a cell as text, empty for null, white space as one space unless `lines`.

    Raises `BadDataError` when the column is missing or holds something else than a text or number.
    """
    if column not in row:
        raise BadDataError(f"{place}: no {column!r}; is this the file as it was released?")
    value = row[column]
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise BadDataError(f"{place}, {column}: a {type(value).__name__}, a text is wanted")
    return str(value).strip() if lines else " ".join(str(value).split())
