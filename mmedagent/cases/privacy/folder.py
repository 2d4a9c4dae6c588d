"""De-identified copies of a folder of DICOM files: resumable, with a report of counts.

A file's name may be a patient's. Messages name files by their number in the sorted folder, copies
are named by pseudonyms of their content.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mmedagent import atomic
from mmedagent.cases.privacy.burned_in import BurnedInText
from mmedagent.cases.privacy.dicom import deidentify, quiet
from mmedagent.cases.privacy.pixels import clean_pixels
from mmedagent.cases.privacy.pseudonym import Pseudonyms
from mmedagent.cases.privacy.refusal import RefusedForPrivacy
from mmedagent.cases.privacy.report import PrivacyReport
from mmedagent.digests import digest_file
from mmedagent.errors import BadDataError, UsageError
from mmedagent.interrupt import stop_requests
from mmedagent.recipes.privacy import PrivacyRecipe

JOURNAL = ".deidentified.jsonl"
"""A line for each finished file: its copy's name and counts, so that a killed run goes on."""
REPORT = "privacy-report.json"
PixelPolicy = Literal["mask", "refuse", "keep"]
_DIRECTORY = "1.2.840.10008.1.3.10"
_NAMED = 5
_NO_IMAGE = "no image"


@dataclass(frozen=True)
class Copies:
    """What became of a folder."""

    files: int
    skipped: int
    """Files that are no DICOM image, left out as asked."""
    refused: int
    """Images with burned-in text, left out as asked."""
    report: PrivacyReport


def deidentify_folder(
    source: Path,
    out: Path,
    pseudonyms: Pseudonyms,
    pixels: PixelPolicy = "mask",
    skip_others: bool = False,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Copies:
    """Write a de-identified copy of every DICOM image in `source` to `out`.

    Raises:
        UsageError: `out` lies in `source` or the other way round, or `source` is no folder.
        BadDataError: a file is no DICOM image (unless `skip_others`), or cannot be read whole;
            named by its number in the sorted folder.
        InterruptedWithCheckpoint: stopped by a signal; the same call goes on.
    """
    files = _files(source, out)
    others = [number for number, path in files if not _is_dicom(path)]
    if others and not skip_others:
        raise BadDataError(_refusal(source, others, len(files)))
    out.mkdir(parents=True, exist_ok=True)
    finder = BurnedInText(PrivacyRecipe(burned_in_text="refuse"))
    journal = _Journal(out, pseudonyms)
    with stop_requests() as stop:
        for done, (number, path) in enumerate(files):
            if stop.asked:
                raise stop.stopped(str(out))
            if number not in others:
                name = pseudonyms.of("image", digest_file(path)) + ".dcm"
                if not journal.has(name):
                    place = f"{source}: file {number} of {len(files)}"
                    facts = _copy(path, out / name, pseudonyms, finder, pixels, skip_others, place)
                    journal.add(name, facts)
            tell(done + 1, len(files))
    copies = Copies(journal.copied, len(others) + journal.skipped, journal.refused, journal.report)
    totals = {"files": copies.files, "skipped": copies.skipped, "refused": copies.refused}
    atomic.write_json(out / REPORT, {**totals, **copies.report.as_dict()})
    return copies


def _files(source: Path, out: Path) -> list[tuple[int, Path]]:
    if not source.is_dir():
        raise UsageError(f"{source} is no folder")
    here, there = source.resolve(), out.resolve()
    if here == there or there.is_relative_to(here) or here.is_relative_to(there):
        raise UsageError(f"{out} and {source} must not lie in each other: name another folder")
    # Links are not followed: they may lead to records that nobody meant.
    found = sorted(
        (path for path in source.rglob("*") if path.is_file() and not path.is_symlink()),
        key=lambda path: path.relative_to(source).as_posix().encode("utf-8", "surrogateescape"),
    )
    if not found:
        raise BadDataError(f"{source} has no files")
    return list(enumerate(found, start=1))


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _refusal(source: Path, others: list[int], total: int) -> str:
    named = ", ".join(map(str, others[:_NAMED])) + (", ..." if len(others) > _NAMED else "")
    return (
        f"{source}: {len(others)} of {total} files are no DICOM (numbers {named} in the sorted "
        "folder; names are not shown, for they may identify a patient). See which: "
        f"`(cd {source} && find . -type f | LC_ALL=C sort | sed -n {others[0]}p)`. Take them out "
        "or use --skip-others"
    )


@quiet()
def _copy(
    path: Path,
    target: Path,
    pseudonyms: Pseudonyms,
    finder: BurnedInText,
    pixels: PixelPolicy,
    skip_others: bool,
    place: str,
) -> dict[str, Any]:
    """Write one copy and return its line of the journal."""
    import pydicom

    try:
        dataset = pydicom.dcmread(path)
        kind = str(dataset.file_meta.get("MediaStorageSOPClassUID", ""))
        has_pixels, claims_pixels = "PixelData" in dataset, "Rows" in dataset
    except Exception as error:  # pydicom raises many kinds, some with values in their text
        raise BadDataError(
            f"{place} cannot be read as DICOM ({type(error).__name__}): is it whole?"
        ) from None
    if claims_pixels and not has_pixels:
        raise BadDataError(f"{place} is cut off before its pixels: copy it again")
    if kind == _DIRECTORY or not has_pixels:
        if not skip_others:
            raise BadDataError(f"{place} holds no image: take it out or use --skip-others")
        return {"left_out": _NO_IMAGE}
    try:
        regions = 0
        if pixels != "keep":
            regions = clean_pixels(dataset, finder, pixels == "refuse", place)
    except RefusedForPrivacy:
        return {"left_out": "burned-in text"}
    method = dataset.get("DeidentificationMethodCodeSequence")
    counts = deidentify(dataset, pseudonyms)
    if regions and method:
        dataset.DeidentificationMethodCodeSequence.append(method[-1])
    aside = target.with_name(f".{target.name}.aside")
    dataset.save_as(aside, enforce_file_format=True)
    atomic.write_bytes(target, aside.read_bytes())
    aside.unlink()
    return {"dicom": dict(counts), "regions": regions}


class _Journal:
    """What is done: one JSON line a file, appended and flushed after its copy is in place."""

    def __init__(self, out: Path, pseudonyms: Pseudonyms) -> None:
        self._path = out / JOURNAL
        self._names: set[str] = set()
        self.report = PrivacyReport()
        self.copied = self.refused = self.skipped = 0
        key = pseudonyms.of("key", "check")
        if not self._path.exists():
            self._append({"key": key})
        for number, line in enumerate(self._path.read_text(encoding="ascii").splitlines()):
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the last line of a killed run: its file is copied again
            if number == 0 and entry.get("key") != key:
                raise BadDataError(
                    f"{out} was made with another pseudonym key: use that key, or another folder"
                )
            if number and (entry.get("left_out") or (out / entry["name"]).is_file()):
                self._count(entry)

    def has(self, name: str) -> bool:
        return name in self._names

    def add(self, name: str, facts: dict[str, Any]) -> None:
        self._append({"name": name, **facts})
        self._count({"name": name, **facts})

    def _append(self, entry: dict[str, Any]) -> None:
        with self._path.open("a", encoding="ascii") as file:
            file.write(json.dumps(entry, sort_keys=True) + "\n")
            file.flush()

    def _count(self, entry: dict[str, Any]) -> None:
        if entry["name"] in self._names:
            return
        self._names.add(entry["name"])
        if entry.get("left_out"):
            if entry["left_out"] == _NO_IMAGE:
                self.skipped += 1
            else:
                self.refused += 1
                self.report.add("image", {}, refused=True)
            return
        self.copied += 1
        self.report.add("dicom", Counter(entry["dicom"]))
        self.report.add("image", {"text region": entry["regions"]})


def lines_of(copies: Copies) -> Iterator[str]:
    """Yield the report for a terminal, a line for each kind."""
    for place, kinds in sorted(copies.report.removed.items()):
        for kind, count in sorted(kinds.items()):
            yield f"{place}: {kind}: {count}"
