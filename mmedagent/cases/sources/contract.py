"""What every source of cases yields, and what an adapter is.

An adapter reads one released layout and yields `SourceCase` after `SourceCase`, in the release's
own order, holding no more than one table block at a time. It decides nothing about privacy, image
encoding, options or pools: `cases.add` does that, the same for all sources.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from mmedagent.cases.case import AnswerType

if TYPE_CHECKING:
    from mmedagent.cases.sources.release import Release
    from mmedagent.recipes.sets import SourceRecipe

Split = Literal["train", "validation", "test"]
"""The source's own, official split."""


@dataclass(frozen=True)
class View:
    """Which picture of an image file is meant; the default is the only one."""

    frame: int | None = None
    """Of a multi-frame DICOM or TIFF file, from 0; of a volume, the slice along `axis`."""
    axis: Literal["axial", "coronal", "sagittal"] | None = None
    """Of a NIfTI volume."""
    window: tuple[float, float] | None = None
    """Centre and width in the modality's units (Hounsfield for CT); None takes the file's own."""


@dataclass(frozen=True)
class SourceImage:
    """One image of a case: where it lies, and how its bytes are had when they are needed."""

    place: str
    """Where it lies in the release, for messages. A hospital's file name may identify a patient:
    its adapter names the table's row instead."""
    read: Callable[[], bytes]
    """Returns the encoded file. Raises `BadDataError` when it is missing or over the limits."""
    view: View = View()


@dataclass(frozen=True)
class SourceCase:
    """One question as its source has it, in the project's words."""

    row: str
    """Where it stands in the release (`trainset.json[17]`), for messages: never its content."""
    key: str
    """The source's own id of the question, unique in the source; no identifier of a patient."""
    images: tuple[SourceImage, ...]
    question: str
    answer: str
    answer_type: AnswerType
    """`closed` where the source marks it so, or the answer is one of a given few; else `open`."""
    question_type: str
    """As the source calls it, lower case (`modality`, `abnormality`, ...)."""
    modality: str
    """As the source calls it; `modalities.canonical` gives the project's word."""
    subject: str
    """The patient, study or image that pools are split by: a pseudonym where it is a patient."""
    split: Split
    options: tuple[str, ...] = ()
    """The source's own options, in its order; empty where it has none."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """What else the source says and slices are made by: `language`, `body_region`, `sex`, ..."""


class Source(Protocol):
    """An adapter. Its conformance is tested by `tests/mmedagent/cases/sources/conformance.py`."""

    name: str
    """As `mmedagent data add` takes it: `vqa-rad`."""
    title: str
    licence: str
    """Of the data set, as its authors give it, or that they give none."""
    homepage: str

    def cases(
        self, release: "Release", recipe: "SourceRecipe", skipped: Counter[str]
    ) -> Iterator[SourceCase]:
        """Yield the cases of a release in its own order.

        A question that is left out is counted in `skipped` under its reason, a fixed phrase that
        holds nothing of the row (`no answer`, `another language`); the count is whole when the
        iterator is exhausted.
        Raises `BadDataError` that names the file and row of what cannot be read, and `UsageError`
        when the release is none of this source's known layouts, naming what was looked for.
        """
        ...
