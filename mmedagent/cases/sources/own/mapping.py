"""The mapping file: which column of a hospital's table is what. Nothing in it has a guessed value.

`docs/own-cases.md` explains it field by field; `mmedagent data init` writes one.
"""

import codecs
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mmedagent.cases.case import AnswerType
from mmedagent.cases.sources.contract import Split
from mmedagent.errors import UsageError

Name = Annotated[str, Field(min_length=1, max_length=200)]
Axis = Literal["axial", "coronal", "sagittal"]
ListForm = Annotated[str, Field(min_length=1, max_length=6)]
"""`json` (`["a", "b"]`), `python` (`['a', 'b']`), `native` (a list of a JSONL or Parquet file), or
the delimiter between the parts (one to three characters)."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class TableFile(_Part):
    """The table, and how it is written."""

    path: Name
    """Within the release."""
    format: Literal["csv", "jsonl", "parquet"]
    encoding: str | None = None
    """Of a CSV: `utf-8`, `utf-8-sig`, `cp1252`, ..."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Of a CSV."""

    @model_validator(mode="after")
    def _csv_says_how(self) -> Self:
        given = [self.encoding, self.delimiter]
        if self.format == "csv" and None in given:
            raise ValueError('a CSV needs both, as in `encoding: utf-8` and `delimiter: ","`')
        if self.format != "csv" and given != [None, None]:
            raise ValueError("`encoding` and `delimiter` are for a CSV alone: take them out")
        return self

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, name: str | None) -> str | None:
        try:
            if name is not None and "a".encode(name).decode(name) != "a":
                raise LookupError
        except (LookupError, ValueError, TypeError):
            raise ValueError("no text encoding that Python knows; try `utf-8`") from None
        return codecs.lookup(name).name if name is not None else None


class Cells(_Part):
    """One or several columns, or one whose cells hold lists."""

    columns: Annotated[tuple[Name, ...], Field(min_length=1)]
    list: ListForm | None = None
    """How a cell of the one column holds several values; without it a cell is one value."""

    @model_validator(mode="after")
    def _list_is_one_column(self) -> Self:
        if self.list is not None and len(self.columns) != 1:
            raise ValueError("`list` is for one column; several columns hold one value each")
        named = self.list in (None, "json", "python", "native")
        if not named and (len(str(self.list)) > 3 or str(self.list).isalnum()):
            raise ValueError("`list` is json, python, native, or a delimiter such as `|`")
        return self


class Images(Cells):
    """Where a row's images are named; an empty cell of several columns means one image fewer."""

    folder: str = ""
    """What the cells' paths are relative to, within the release."""


class Term(_Part):
    """A column, or one value for all rows; `values` translates the column's words."""

    column: Name | None = None
    value: Name | None = None
    values: dict[str, str] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if sum(part is not None for part in self._ways()) != 1:
            raise ValueError(f"give exactly one of {self._choices()}")
        if self.values is not None and self.column is None:
            raise ValueError("`values` translates a column: give `column` with it")
        return self

    def _ways(self) -> list[Any]:
        return [self.column, self.value]

    def _choices(self) -> str:
        return "`column` and `value`"


class ModalityTerm(Term):
    """The modality; with `dicom_header` each file's own Modality (0008,0060)."""

    dicom_header: Literal[True] | None = None

    def _ways(self) -> list[Any]:
        return [self.column, self.value, self.dicom_header]

    def _choices(self) -> str:
        return "`column`, `value` and `dicom_header: true`"


class AnswerTypeTerm(Term):
    """Whether questions are closed or open."""

    value: AnswerType | None = None  # type: ignore[assignment]
    values: dict[str, AnswerType] | None = None  # type: ignore[assignment]


class AxisTerm(Term):
    """Which slices of a volume are meant."""

    value: Axis | None = None  # type: ignore[assignment]
    values: dict[str, Axis] | None = None  # type: ignore[assignment]


class Number(_Part):
    """A column of numbers, or one number for all rows."""

    column: Name | None = None
    value: float | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.column is None) == (self.value is None):
            raise ValueError("give exactly one of `column` and `value`")
        return self


class Frame(Number):
    """The frame, page or slice."""

    first: Literal[0, 1]
    """What the table calls the first one."""
    list: ListForm | None = None
    """How a cell holds one number for each image of its row; without it one number is for all."""


class Window(_Part):
    """Centre and width in the modality's units."""

    centre: Number
    width: Number


class ViewTerms(_Part):
    """Which picture of a multi-frame file or volume a row is about."""

    frame: Frame | None = None
    axis: AxisTerm | None = None
    window: Window | None = None


class Answer(_Part):
    """The gold answer."""

    column: Name
    given_as: Literal["text", "letter", "number from 0", "number from 1"]
    """The option's text, its letter, or its place among the options."""


class SplitTerm(_Part):
    """The split: a column whose words are translated, or shares of the subjects."""

    column: Name | None = None
    values: dict[str, Split] | None = None
    by_subject: dict[Split, Annotated[float, Field(ge=0, le=1)]] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.column is None) == (self.by_subject is None):
            raise ValueError("give exactly one of `column` (with `values`) and `by_subject`")
        if (self.column is None) != (self.values is None):
            raise ValueError("`column` and `values` go together: each word of it and its split")
        shares = self.by_subject
        if shares is not None and abs(sum(shares.values()) - 1) > 1e-9:
            raise ValueError("the shares of `by_subject` must add up to 1")
        return self


class Mapping(_Part):
    """A whole mapping file."""

    table: TableFile
    images: Images
    question: Name
    answer: Answer
    answer_type: AnswerTypeTerm
    question_type: Term
    modality: ModalityTerm
    subject: Name
    """The column that says whose image it is: it becomes a pseudonym."""
    split: SplitTerm
    language: Term
    """Of the questions, as in `en`."""
    options: Cells | None = None
    id: Name | None = None
    """A column that is different in every row; it becomes a pseudonym, too."""
    view: ViewTerms = ViewTerms()
    attributes: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")], Name] = Field(
        default_factory=dict
    )
    """Attribute of the case -> column: what else statistics are made by."""

    @field_validator("attributes")
    @classmethod
    def _language_has_its_field(cls, attributes: dict[str, str]) -> dict[str, str]:
        if "language" in attributes:
            raise ValueError("`language` has a field of its own")
        return attributes

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if self.options is None and self.answer.given_as != "text":
            raise ValueError("an answer given as letter or number needs `options`")
        return self

    def columns(self) -> tuple[str, ...]:
        """Return every column that is read, each once."""
        view = self.view
        terms: list[Any] = [self.answer, self.answer_type, self.question_type, self.modality]
        terms += [self.language, self.split, view.frame, view.axis]
        terms += [view.window.centre, view.window.width] if view.window else []
        names = [*self.images.columns, self.question, self.subject, self.id]
        names += [term.column for term in terms if term is not None]
        names += [*(self.options.columns if self.options else ()), *self.attributes.values()]
        return tuple(dict.fromkeys(name for name in names if name is not None))


def read_mapping(path: Path) -> Mapping:
    """Return a mapping file's content. Raises `UsageError` that says which line is missing."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        raise UsageError(
            f"{path}: there is no such mapping file; `mmedagent data init` makes one"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path} is no YAML in UTF-8: {error}") from None
    try:
        return Mapping.model_validate(raw)
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error)}") from None


def write_text(mapping: Mapping) -> str:
    """Return the YAML of a mapping, without what was not given."""
    values = mapping.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def explain(error: ValidationError) -> str:
    """Return what is missing or wrong in a mapping, a field each; none of its values."""
    found = []
    for one in error.errors(include_input=False, include_url=False):
        field = ".".join(str(part) for part in one["loc"]) or "the mapping"
        text = one["msg"].removeprefix("Value error, ")
        if one["type"] == "missing":
            text = "missing: nothing is guessed, so it has to be said (docs/own-cases.md)"
        elif one["type"] == "extra_forbidden":
            text = "no field of a mapping: take it out, or see its spelling in docs/own-cases.md"
        found.append(f"{field}: {text}")
    return "; ".join(found)


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML readers keep one without a word."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len({str(key) for key in keys}) != len(keys):
            raise yaml.constructor.ConstructorError(
                None, None, "a key is given twice", node.start_mark
            )
        return super().construct_mapping(node, deep)
