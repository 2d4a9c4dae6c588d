"""The questions of `mmedagent data init`, one after the other, until nothing is open.

It proposes, a person decides: an answer is put into the mapping, a proposal never is.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mmedagent.cases.sources.own import drafting, look
from mmedagent.cases.sources.own.mapping import TableFile, explain
from mmedagent.cases.sources.own.tables import format_of
from mmedagent.errors import BadDataError, UsageError

if TYPE_CHECKING:
    from mmedagent.cases.sources.release import Release

_TERM = "`column NAME`, or one word for all rows"
_TAB = "tab"
_VOLUMES = (".nii", ".nii.gz", ".dcm", ".tif", ".tiff")


@dataclass(frozen=True)
class Question:
    """One question to the table's owner."""

    name: str
    """The mapping's field that the answer decides."""
    text: str
    take: Callable[[str], None]
    """Puts the answer into the mapping; raises `ValueError` saying what would be one."""
    proposal: str | None = None
    needed: bool = True
    columns: list[look.Column] = field(default_factory=list)
    """To be shown before it is asked."""


class Interview:
    """Fills `values` with what its owner answers; `next` gives None when all is answered."""

    def __init__(self, release: "Release", values: dict[str, Any]) -> None:
        self._release, self._values = release, values
        self._asked: set[str] = set()
        self._columns: list[look.Column] = []

    def next(self) -> Question | None:
        """Return the next open question. Raises `BadDataError` when the table cannot be read."""
        for name, make in _ORDER:
            if name in self._asked or (name and drafting.has(self._values, name)):
                continue
            question = make(self)
            if question is not None:
                return question
        return None

    def answer(self, question: Question, text: str) -> str | None:
        """Take an answer; return why it is none, or None when it is taken."""
        if not text and question.needed:
            return "this has to be said: nothing is guessed"
        try:
            if text:
                question.take(text)
        except (ValueError, UsageError, BadDataError) as error:
            return str(error)
        self._asked.add(question.name)
        return None

    # What the table is.

    def _table(self) -> Question:
        there = look.tables(self._release)
        if not there:
            raise UsageError(
                f"{self._release.path.name} has no table (.csv, .jsonl, .parquet): put one beside"
                " the images, with a row for each question"
            )

        def take(path: str) -> None:
            kind = format_of(path)
            if path not in there or kind is None:
                raise ValueError(f"one of {', '.join(there[:10])}")
            self._put("table.path", path)
            self._put("table.format", kind)

        text = f"Which table ({len(there)} there)?"
        return Question("table.path", text, take, there[0] if len(there) == 1 else None)

    def _format(self) -> Question:
        found = format_of(str(self._values["table"]["path"]))
        return self._plain("table.format", "What kind of table is it: csv, jsonl, parquet?", found)

    def _encoding(self) -> Question | None:
        if self._values["table"].get("format") != "csv":
            return None
        found = look.csv_facts(self._release, self._values["table"]["path"])[0]
        return self._plain("table.encoding", "In which encoding is it written?", found)

    def _delimiter(self) -> Question | None:
        if self._values["table"].get("format") != "csv":
            return None

        def take(text: str) -> None:
            self._put("table.delimiter", "\t" if text == _TAB else text)
            self._names()

        found = look.csv_facts(self._release, self._values["table"]["path"])[1]
        text = "What stands between its cells (`tab` for a tab)?"
        return Question("table.delimiter", text, take, _TAB if found == "\t" else found)

    # What its columns are.

    def _images(self) -> Question:
        found = drafting.proposed_images(self._look())
        proposal = ", ".join(column.name for column in found) or None

        def take(text: str) -> None:
            self._put("images.columns", self._known(text))

        text = "Which column names the image (several: a, b)?"
        return Question("images.columns", text, take, proposal, columns=self._look())

    def _folder(self) -> Question:
        [first, *_] = self._values["images"]["columns"]
        folder = next((c.folder for c in self._look() if c.name == first), None)
        text = "Which folder of the release are its paths relative to?"
        return self._plain("images.folder", text, folder or None, needed=False)

    def _image_list(self) -> Question | None:
        return self._list("images", "image")

    def _question(self) -> Question:
        return self._column("question", "Which column is the question?")

    def _answer(self) -> Question:
        proposal = drafting.proposed("answer", self._look())
        return self._column("answer.column", "Which column is the right answer?", proposal)

    def _options(self) -> Question:
        taken = {self._values["question"], self._values["answer"]["column"]}
        free = [column for column in self._look() if column.name not in taken]
        found = drafting.proposed_options(free)

        def take(text: str) -> None:
            if text != "none":
                self._put("options.columns", self._known(text))

        text = "Which columns are the options (several: a, b; or `none`)?"
        return Question("options", text, take, ", ".join(found) or None)

    def _option_list(self) -> Question | None:
        return self._list("options", "option") if "options" in self._values else None

    def _given_as(self) -> Question | None:
        if "options" not in self._values:
            self._put("answer.given_as", "text")  # no guess: nothing else is possible
            return None
        text = "How is the answer given: text, letter, number from 0, number from 1?"
        return self._plain("answer.given_as", text, None)

    def _term(self, name: str, text: str, proposal: str | None = None) -> Question | None:
        def take(said: str) -> None:
            word, _, column = said.partition(" ")
            if word == "column":
                self._put(f"{name}.column", self._known(column)[0])
            elif name == "modality" and said == "header":
                self._put("modality.dicom_header", True)
            else:
                self._put(f"{name}.value", said)

        column = drafting.proposed(name, self._look())
        return Question(name, text, take, proposal or (f"column {column}" if column else None))

    def _answer_type(self) -> Question | None:
        return self._term(
            "answer_type", "Are the questions closed or open: `closed`, `open` or `column NAME`?"
        )

    def _question_type(self) -> Question | None:
        return self._term("question_type", f"What kind of question is it: {_TERM}?")

    def _modality(self) -> Question | None:
        return self._term("modality", f"Which modality: {_TERM}, or `header` (DICOM's own)?")

    def _language(self) -> Question | None:
        return self._term("language", f"Which language: {_TERM}, as in `en`?")

    def _subject(self) -> Question:
        return self._column("subject", "Which column says whose image it is (the patient)?")

    def _split(self) -> Question | None:
        def take(said: str) -> None:
            word, _, rest = said.partition(" ")
            if word == "column":
                [column, *_] = self._known(rest)
                if not look.words(self._release, self._table_file(), column):
                    raise ValueError("a column of at most 12 different words, or shares")
                self._put("split.column", column)
                return
            shares = [float(part) for part in rest.split()] if word == "shares" else []
            if len(shares) != 3 or abs(sum(shares) - 1) > 1e-9:
                raise ValueError("`column NAME`, or as in `shares 0.8 0.1 0.1`, which add up to 1")
            self._put("split.by_subject", dict(zip(_SPLITS, shares, strict=True)))

        column = drafting.proposed("split", self._look())
        text = "Which split: `column NAME`, or `shares TRAIN VALIDATION TEST` of the subjects?"
        return Question("split", text, take, f"column {column}" if column else None)

    def _words(self) -> Question | None:
        """Ask for one word of the split column after the other."""
        split = self._values.get("split") or {}
        if "column" not in split:
            return None
        known = split.setdefault("values", {})
        words = look.words(self._release, self._table_file(), split["column"])
        word = next((word for word in words if word not in known), None)
        if word is None:
            return None

        def take(said: str) -> None:
            if said not in _SPLITS:
                raise ValueError("train, validation or test")
            known[word] = said

        proposal = word if word in _SPLITS else None
        return Question(f"split.values.{word}", f"Which split is {word!r}?", take, proposal)

    def _frame(self) -> Question | None:
        if not any(name.lower().endswith(_VOLUMES) for name in self._release.names()):
            return None

        def take(said: str) -> None:
            column, _, first = said.rpartition(" from ")
            if first not in ("0", "1"):
                raise ValueError("as in `slice from 0` or `page from 1`")
            self._put("view.frame.column", self._known(column)[0])
            self._put("view.frame.first", int(first))

        text = "Which column numbers the frame, page or slice, as in `slice from 0`?"
        return Question("view.frame", text, take, needed=False)

    def _axis(self) -> Question | None:
        if not any(name.lower().endswith((".nii", ".nii.gz")) for name in self._release.names()):
            return None
        return self._term("view.axis", "Which slices of the volumes: axial, coronal or sagittal?")

    # Helpers.

    def _put(self, name: str, value: Any) -> None:
        drafting.put(self._values, name, value)

    def _plain(self, name: str, text: str, proposal: str | None, needed: bool = True) -> Question:
        return Question(name, text, lambda said: self._put(name, said), proposal, needed)

    def _column(self, name: str, text: str, proposal: str | None = None) -> Question:
        proposal = proposal or (
            drafting.proposed(name, self._look()) if name in ("question", "subject") else None
        )
        return Question(name, text, lambda said: self._put(name, self._known(said)[0]), proposal)

    def _list(self, part: str, what: str) -> Question | None:
        columns = self._values[part]["columns"]
        kinds = {column.name: column.kind for column in self._look()}
        if len(columns) != 1 or (what == "image" and kinds.get(columns[0]) == "files"):
            return None
        text = f"Does a cell hold several {what}s: json, python, native, or the mark between them?"
        return self._plain(f"{part}.list", text, None, needed=False)

    def _known(self, text: str) -> list[str]:
        names = self._names()
        found = [text.strip()] if text.strip() in names else [p.strip() for p in text.split(",")]
        if set(found) - set(names):
            raise ValueError(f"a column of the table: {', '.join(names)}")
        return found

    def _table_file(self) -> TableFile:
        try:
            return TableFile.model_validate(self._values["table"])
        except ValidationError as error:
            raise UsageError(f"table: {explain(error)}") from None

    def _names(self) -> tuple[str, ...]:
        return look.column_names(self._release, self._table_file())

    def _look(self) -> list[look.Column]:
        if not self._columns:
            table = self._table_file()
            self._columns = look.columns(self._release, table, self._names())
        return self._columns


_SPLITS = ("train", "validation", "test")
_ORDER: tuple[tuple[str, Callable[[Interview], Question | None]], ...] = (
    ("table.path", Interview._table),
    ("table.format", Interview._format),
    ("table.encoding", Interview._encoding),
    ("table.delimiter", Interview._delimiter),
    ("images.columns", Interview._images),
    ("images.folder", Interview._folder),
    ("images.list", Interview._image_list),
    ("question", Interview._question),
    ("answer.column", Interview._answer),
    ("options", Interview._options),
    ("options.list", Interview._option_list),
    ("answer.given_as", Interview._given_as),
    ("answer_type", Interview._answer_type),
    ("question_type", Interview._question_type),
    ("modality", Interview._modality),
    ("language", Interview._language),
    ("subject", Interview._subject),
    ("split", Interview._split),
    ("", Interview._words),  # As many questions as the split's column has words.
    ("view.frame", Interview._frame),
    ("view.axis", Interview._axis),
)
"""Each field and who asks for it; what `--set` gave, or was asked, is not asked again."""
