"""The layout of a data version's shards: Arrow schemas that Hugging Face `datasets` reads.

Schema 2 holds every field of `Case`: `images` is a list of `Image` features (a struct of encoded
bytes and a path). Schema 1 is the starter set's, older: one `image`, closed questions only, no
attributes. It is still written for that set, so that the digests that name it stand.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

import pyarrow as pa

from mmedagent.cases.case import Case
from mmedagent.digests import digest_bytes
from mmedagent.errors import BadDataError

SchemaVersion = Literal[1, 2]
TEXT = (
    "case_id",
    "question",
    "answer",
    "question_type",
    "modality",
    "specialty",
    "source",
    "subject",
    "pool",
)
"""The text columns of both schemas."""
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_ATTRIBUTE = pa.struct([("name", pa.string()), ("value", pa.string())])
_STRING = {"dtype": "string", "_type": "Value"}


def schema(version: SchemaVersion = 2) -> pa.Schema:
    """Return the shards' Arrow schema, with the metadata that `datasets` takes features from."""
    features: dict[str, Any] = {}
    fields = []

    def column(name: str, kind: pa.DataType, feature: dict[str, Any]) -> None:
        fields.append(pa.field(name, kind))
        features[name] = feature

    if version == 1:
        column("image", _IMAGE, {"_type": "Image"})
    else:
        column("images", pa.list_(_IMAGE), {"feature": {"_type": "Image"}, "_type": "List"})
    for name in TEXT if version == 1 else (*TEXT, "answer_type"):
        column(name, pa.string(), _STRING)
    column("options", pa.list_(pa.string()), {"feature": _STRING, "_type": "List"})
    if version == 2:
        pair = {"name": _STRING, "value": _STRING}
        column("attributes", pa.list_(_ATTRIBUTE), {"feature": pair, "_type": "List"})
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def row_of(case: Case) -> dict[str, Any]:
    """Return a case as a stored row: what `iter_rows` yields."""
    row: dict[str, Any] = {name: getattr(case, name) for name in (*TEXT, "answer_type")}
    row["images"] = [_stored(image) for image in case.images]
    row["attributes"] = dict(sorted(case.attributes.items()))
    return row | {"options": list(case.options)}


def case_of(row: Mapping[str, Any]) -> Case:
    """Return one stored row as a `Case`. Raises what pydantic raises when it is none."""
    fields = {name: row[name] for name in (*TEXT, "answer_type")}
    images = tuple(image["bytes"] for image in row["images"])
    options = tuple(row["options"])
    return Case(images=images, options=options, attributes=row["attributes"], **fields)


def to_arrow(rows: list[dict[str, Any]], version: SchemaVersion = 2) -> pa.Table:
    """Return rows as a table. Raises `BadDataError` for a row that schema 1 cannot hold."""
    convert = _row_of_schema_1 if version == 1 else _row_of_schema_2
    return pa.Table.from_pylist([convert(row) for row in rows], schema=schema(version))


def from_arrow(table: pa.Table | pa.RecordBatch) -> list[dict[str, Any]]:
    """Return the rows of a table of either schema, in one form."""
    rows: list[dict[str, Any]] = table.to_pylist()
    for row in rows:
        if "images" not in row:
            row["images"] = [row.pop("image", None)]
        row.setdefault("answer_type", "closed")
        pairs = row.get("attributes") or []
        row["attributes"] = {pair["name"]: pair["value"] for pair in pairs}
    return rows


def _stored(image: bytes) -> dict[str, Any]:
    suffix = "jpg" if image.startswith(b"\xff\xd8") else "png"
    return {"bytes": image, "path": f"{digest_bytes(image)}.{suffix}"}


def _row_of_schema_1(row: dict[str, Any]) -> dict[str, Any]:
    if len(row["images"]) != 1 or row["answer_type"] != "closed" or row["attributes"]:
        raise BadDataError(
            f"case {row['case_id']!r}: schema 1 holds one image, closed questions, no attributes"
        )
    return {**row, "image": row["images"][0]}


def _row_of_schema_2(row: dict[str, Any]) -> dict[str, Any]:
    pairs = [{"name": name, "value": value} for name, value in row["attributes"].items()]
    return {**row, "attributes": pairs}
