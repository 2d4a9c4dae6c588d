"""Cross-fitting: no training case is labelled by a specialist that saw its subject.

Where no subjects can be spared for the panel alone, the training subjects are split into folds and
each fold gets a panel of its own, trained on all other subjects. The panel that evaluation and
serving ask is trained on everything.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmedagent.cases.case import Case
from mmedagent.digests import digest_bytes
from mmedagent.errors import BadDataError, BrokenEvidenceError
from mmedagent.panel.folder import read_manifest, read_panel_folder

POOLS_FOLDED = ("warm_start", "train")
"""The pools that the panel labels; all their subjects are in folds."""


@dataclass(frozen=True)
class Folds:
    """The fold panels of a panel folder, and which subjects each has not seen."""

    panels: tuple[Path, ...]
    """By fold: the panel folder whose specialists saw no subject of that fold."""
    fold_of: Mapping[str, int]
    """By `subject_key`."""

    def of(self, case: Case) -> int:
        """Return the fold of a case: which panel may be asked about it.

        Raises `BadDataError` when the panel was trained on data without its subject.
        """
        key = subject_key(case.subject)
        if key not in self.fold_of:
            raise BadDataError(
                f"case {case.case_id}: its subject {case.subject!r} is in no fold of the panel,"
                " which was trained on other data; train it again (`dvc repro panel`)"
            )
        return self.fold_of[key]


def subject_key(subject: str) -> str:
    """Return what stands for a subject in a panel folder, which is copied to where it serves."""
    return digest_bytes(subject.encode())[:32]


def split_subjects(cases: Sequence[Case], folds: int) -> dict[str, int]:
    """Return the fold of each subject of the labelled pools, by `subject_key`.

    A function of the cases alone. Within a specialty, subjects go to the fold that has the fewest
    of its cases so far, large subjects first.

    Raises `BadDataError` when there are fewer subjects than folds.
    """
    sizes: Counter[str] = Counter()
    specialty: dict[str, str] = {}
    for case in cases:
        if case.pool in POOLS_FOLDED:
            key = subject_key(case.subject)
            sizes[key] += 1
            specialty[key] = min(case.specialty, specialty.get(key, case.specialty))
    if len(sizes) < folds:
        raise BadDataError(
            f"panel_training.cross_fit_folds is {folds}, but the pools {', '.join(POOLS_FOLDED)}"
            f" have {len(sizes)} subjects; set it to that or less"
        )
    loads = {name: [0] * folds for name in specialty.values()}
    totals = [0] * folds
    fold_of: dict[str, int] = {}
    for key in sorted(sizes, key=lambda key: (-sizes[key], key)):
        load = loads[specialty[key]]
        fold = min(range(folds), key=lambda n: (load[n], totals[n], n))
        fold_of[key] = fold
        load[fold] += sizes[key]
        totals[fold] += sizes[key]
    return fold_of


def read_folds(folder: Path) -> Folds | None:
    """Return the fold panels of a panel folder, verified; None when it has none.

    Raises `BrokenEvidenceError` as `read_panel_folder` does, for the fold panels too, and when a
    fold's panel saw a subject of that fold.
    """
    folds = read_manifest(folder).get("folds")
    if folds is None:
        return None
    panels = []
    for number, entry in enumerate(folds["panels"]):
        seen = set(entry["seen"])
        own = (key for key, fold in folds["subjects"].items() if fold == number)
        if leaked := sorted(key for key in own if key in seen):
            raise BrokenEvidenceError(
                f"{folder / entry['path']}: saw {len(leaked)} subjects of its own fold, such as"
                f" {leaked[0]}: its labels would not be out of sample"
            )
        path = folder / entry["path"]
        found = read_panel_folder(path).digest
        if found != entry["digest"]:
            raise BrokenEvidenceError(
                f"{path}: another panel (digest {found[:12]}) than the one of this fold"
                f" ({entry['digest'][:12]})"
            )
        panels.append(path)
    return Folds(tuple(panels), dict(folds["subjects"]))
