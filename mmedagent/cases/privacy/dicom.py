"""De-identification of DICOM headers by PS3.15, Basic Application Confidentiality Profile.

The table of the profile (PS3.15 2026c, table E.1-1) and its actions come from `dicom-anonymizer`.
Added here is what the profile asks for and that library leaves out: items of sequences at every
depth (E.1.1), keyed UIDs, the file meta information, elements of no known tag, person names and
dates that the table does not list, and the attributes that say what was done.
"""

import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from mmedagent.cases.privacy.pseudonym import Pseudonyms

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

Action = Callable[["Dataset", tuple[int, int]], None]

PROFILE = "dicomfields_2026c"
METHOD = "PS3.15 2026c Basic Application Level Confidentiality Profile"
_PERSONAL_VRS = ("PN", "DA", "DT", "TM", "AS")
_DUMMIES = ("", "ANONYMIZED", "00010101", "00010101010101.000000+0000", "000000.00", "000Y")
_OVERLAYS = 0x6000
_KEPT_META = (0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012, 0x00020013)
"""Group length, version, SOP class and instance, transfer syntax, and which software wrote it."""


def deidentify(dataset: "Dataset", pseudonyms: Pseudonyms | None = None) -> Counter[str]:
    """Remove what identifies a person from `dataset`, in place, and return counts.

    Args:
        dataset: a file's dataset or a part of it; pixels are not looked at (`burned_in` does).
        pseudonyms: gives UIDs and PatientID the same substitute in every file and run. Without
            them UIDs are random (the same within this dataset alone), and PatientID is a dummy.

    Returns:
        Counts of removed or replaced values by kind: `group 0010` for elements of that group,
        `private`, `unknown` (of no known tag), `unreadable`, `file meta`. Never a value.
    """
    with quiet():
        return _deidentify(dataset, pseudonyms)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence pydicom within the block: its warnings about odd values show the values."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _deidentify(dataset: "Dataset", pseudonyms: Pseudonyms | None) -> Counter[str]:
    counts: Counter[str] = Counter()
    subject = _subject(dataset, pseudonyms)
    uids = _Uids(pseudonyms)
    actions = _counted(_actions(), uids, counts)
    counts["private"] += sum(1 for element in _elements(dataset) if element.tag.is_private)
    _apply(dataset, actions)
    _remove_rest(dataset, counts)
    _clean_meta(dataset, uids, counts)
    if "PatientID" in dataset and subject is not None:
        dataset.PatientID = subject
    _declare(dataset)
    return +counts


def says_burned_in(dataset: "Dataset") -> bool:
    """Say whether the header declares annotations burned into the pixels, (0028,0301)."""
    return str(dataset.get("BurnedInAnnotation", "")).strip().upper() == "YES"


class _Uids:
    """Gives each UID its substitute; well-known UIDs (classes, syntaxes) keep their meaning."""

    def __init__(self, pseudonyms: Pseudonyms | None) -> None:
        self._pseudonyms = pseudonyms
        self._random: dict[str, str] = {}

    def of(self, uid: str) -> str:
        from pydicom.uid import UID, generate_uid

        if not uid or UID(uid).name != uid:
            return uid
        if self._pseudonyms is not None:
            return self._pseudonyms.uid(uid)
        if uid not in self._random:
            self._random[uid] = str(generate_uid(None))
        return self._random[uid]

    def replace(self, dataset: "Dataset", tag: tuple[int, int]) -> None:
        element = dataset.get(tag)
        if element is None or not element.value:
            return
        if element.VM > 1:
            element.value = [self.of(str(uid)) for uid in element.value]
        else:
            element.value = self.of(str(element.value))


@cache
def _actions() -> dict[tuple[int, ...], Action]:
    from dicomanonymizer.simpledicomanonymizer import initialize_actions

    return dict(initialize_actions(PROFILE))


def _counted(
    actions: dict[tuple[int, ...], Action], uids: _Uids, counts: Counter[str]
) -> dict[tuple[int, ...], Action]:
    """Return the library's actions with keyed UIDs, each counting what it meets."""
    from dicomanonymizer.simpledicomanonymizer import replace_UID

    def counting(action: Action) -> Action:
        def act(dataset: "Dataset", tag: tuple[int, int]) -> None:
            if tag not in dataset:
                return
            try:
                if not dataset[tag].is_empty:
                    counts[f"group {tag[0]:04x}"] += 1
                action(dataset, tag)
            except (NotImplementedError, ValueError, TypeError, AttributeError, KeyError):
                # The library knows no dummy for this value representation, or the value is
                # broken: what cannot be replaced is removed.
                counts["unreadable"] += 1
                dataset._dict.pop(_tag(tag), None)

        return act

    replaced = {
        tag: uids.replace if action is replace_UID else action for tag, action in actions.items()
    }
    return {tag: counting(action) for tag, action in replaced.items()}


def _tag(tag: tuple[int, int]) -> Any:
    from pydicom.tag import Tag

    return Tag(tag)


def _apply(dataset: "Dataset", actions: dict[tuple[int, ...], Action]) -> None:
    """Apply the table to `dataset`, then to the items of the sequences that it leaves."""
    from dicomanonymizer import simpledicomanonymizer as library

    present = {(tag.group, tag.element) for tag in list(dataset.keys())}
    meta = getattr(dataset, "file_meta", None)
    present |= (
        {(tag.group, tag.element) for tag in list(meta.keys())} if meta is not None else set()
    )
    # Looking up 650 tags that are not there takes most of the time.
    rules = {tag: act for tag, act in actions.items() if len(tag) > 2 or tag in present}
    library.anonymize_dataset(dataset, base_rules_gen=lambda: rules)
    # The library remembers every UID that it met within a replaced sequence, for ever.
    library.dictionary.clear()
    for element in list(dataset):
        if element.VR == "SQ":
            for item in element.value:
                _apply(item, actions)


def _elements(dataset: "Dataset") -> Iterator["DataElement"]:
    """Yield every element at every depth, the outer ones first."""
    for element in dataset:
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from _elements(item)


def _remove_rest(dataset: "Dataset", counts: Counter[str]) -> None:
    """Remove elements of no known tag, and names, dates and ages that the table does not list.

    Of an overlay the table takes data and comments; its label and description are as free a text.
    """
    from pydicom.datadict import dictionary_has_tag, repeater_has_tag

    for element in list(dataset):
        known = dictionary_has_tag(element.tag) or repeater_has_tag(int(element.tag))
        if not known and element.tag.element != 0:
            counts["unknown"] += 1
            del dataset[element.tag]
        elif element.VR == "SQ":
            for item in element.value:
                _remove_rest(item, counts)
        elif element.tag.group & 0xFF00 == _OVERLAYS or (
            element.VR in _PERSONAL_VRS and not _is_dummy(element)
        ):
            counts[f"group {element.tag.group:04x}"] += 1
            del dataset[element.tag]


def _is_dummy(element: "DataElement") -> bool:
    values = element.value if element.VM > 1 else [element.value]
    return all(value is None or str(value) in _DUMMIES for value in values)


def _clean_meta(dataset: "Dataset", uids: _Uids, counts: Counter[str]) -> None:
    """Keep of the file meta information what a reader needs; the preamble becomes zeros."""
    meta = getattr(dataset, "file_meta", None)
    if meta is None:
        return
    for element in list(meta):
        if element.tag not in _KEPT_META:
            counts["file meta"] += 1
            del meta[element.tag]
    if "SOPInstanceUID" in dataset:
        # PS3.10 7.1: the two are one; the library gave the meta's its own substitute.
        meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    if getattr(dataset, "preamble", None) is not None:
        dataset.preamble = b"\0" * 128


def _subject(dataset: "Dataset", pseudonyms: Pseudonyms | None) -> str | None:
    if pseudonyms is None or not str(dataset.get("PatientID") or "").strip():
        return None
    return pseudonyms.of("subject", str(dataset.PatientID).strip())


def _declare(dataset: "Dataset") -> None:
    """Say in the header that it was de-identified, and how (PS3.15 E.1.1, PS3.3 C.7.1.1)."""
    from pydicom.dataset import Dataset

    if not any(int(tag) > 0x00080000 for tag in list(dataset.keys())):
        return
    code = Dataset()
    code.CodeValue = "113100"
    code.CodingSchemeDesignator = "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = METHOD
    dataset.DeidentificationMethodCodeSequence = [code]
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
