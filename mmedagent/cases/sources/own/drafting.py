"""From answers to a mapping: what is still open, and what a column's name proposes."""

import re
from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from mmedagent.cases.sources.own.look import Column
from mmedagent.cases.sources.own.mapping import Mapping, explain
from mmedagent.cases.sources.own.problems import Problems
from mmedagent.errors import UsageError

if TYPE_CHECKING:
    from mmedagent.cases.sources.release import Release

_NAMES = {
    "question": ("question", "q", "query", "prompt", "frage", "pregunta"),
    "answer": ("answer", "a", "gt", "groundtruth", "gold", "antwort", "respuesta"),
    "subject": ("patient", "patientid", "subject", "subjectid", "pid", "mrn", "case", "caseid"),
    "split": ("split", "fold", "set", "partition", "subset"),
    "language": ("language", "lang"),
    "modality": ("modality", "imagingmodality"),
    "question_type": ("questiontype", "type", "kind", "category", "contenttype"),
    "answer_type": ("answertype",),
}
_OPTION = re.compile(r"(?:option|choice|opt|o)?_?(?:[a-f]|[0-9])", re.I)


def proposed(field: str, columns: Sequence[Column]) -> str | None:
    """Return the column whose name says that it is `field`, for a person to confirm."""
    plain = {re.sub(r"[\W_]", "", column.name).casefold(): column.name for column in columns}
    return next((plain[name] for name in _NAMES.get(field, ()) if name in plain), None)


def proposed_images(columns: Sequence[Column]) -> list[Column]:
    """Return the columns most of whose cells name files."""
    return [column for column in columns if column.kind == "files"]


def proposed_options(columns: Sequence[Column]) -> list[str]:
    """Return the columns that are called like options: `option_a`, `B`, `choice 3`."""
    found = [column.name for column in columns if _OPTION.fullmatch(column.name.replace(" ", "_"))]
    return found if len(found) > 1 else []


def assign(values: dict[str, Any], assignment: str) -> None:
    """Put `images.folder=scans` into nested `values`; what follows `=` is read as YAML.

    Raises `UsageError` when it is no assignment.
    """
    name, equals, text = assignment.partition("=")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = None
    if not equals or not name or value is None:
        raise UsageError(f"--set takes FIELD=VALUE, as in question=frage; not {assignment!r}")
    put(values, name, value)


def put(values: dict[str, Any], name: str, value: Any) -> None:
    """Set the dotted field `name`. Raises `UsageError` when a part of it holds a value."""
    *parents, last = name.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise UsageError(f"{name}: {parent} has a value already")
    values[last] = value


def has(values: MappingType[str, Any], name: str) -> bool:
    """Say whether the dotted field `name` was given."""
    found: Any = values
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            return False
        found = found[part]
    return True


def finished(values: MappingType[str, Any]) -> Mapping:
    """Return the mapping. Raises `UsageError` with every field that is missing or wrong."""
    try:
        return Mapping.model_validate(values)
    except ValidationError as error:
        raise UsageError(f"the mapping is not whole: {explain(error)}") from None


def check(mapping: Mapping, release: "Release", most: int = 10_000) -> int:
    """Read the first `most` rows by the mapping and return their number.

    Raises `BadDataError` that names the first twenty bad cells. Images are looked for, not opened.
    """
    import secrets

    from mmedagent.cases.privacy.pseudonym import KEY_BYTES, Pseudonyms
    from mmedagent.cases.sources.own.rows import RowReader
    from mmedagent.cases.sources.own.tables import read_rows

    problems = Problems(mapping.table.path)
    # The pseudonyms are thrown away, and so is the key.
    pseudonyms = Pseudonyms(secrets.token_bytes(KEY_BYTES))
    reader = RowReader(release, problems, mapping, pseudonyms)
    count = 0
    for row in read_rows(release, mapping.table, mapping.columns(), problems):
        reader.case(row)
        count += 1
        if problems.full or count >= most:
            break
    problems.raise_if_any()
    return count
