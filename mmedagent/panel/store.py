"""The opinion store: what a specialist once said is never asked again.

A folder of Parquet shards, each named by the sha256 of its bytes, and an index from key to shard.
Raw replies are kept and parsed anew whenever they are read, so that a better parser needs no new
question. A shard whose bytes do not match its name is dropped, with a message, and what it held
is asked again. The index is only a convenience: it is rebuilt from the shards when it does not
match them, for instance after a writer was killed between the two.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from mmedagent.atomic import write_bytes
from mmedagent.digests import canonical_json, digest_bytes

logger = logging.getLogger(__name__)

MOST_SHARDS = 64
"""With more shards than this, a write merges them into one."""

_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("specialist", pa.string()),
        ("raw", pa.string()),
        ("fingerprint", pa.string()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
        ("seconds", pa.float64()),
    ]
)
_INDEX_SCHEMA = pa.schema([("key", pa.string()), ("shard", pa.string())])


@dataclass(frozen=True)
class StoredReply:
    """A specialist's reply as it came, and what it cost. No question, no image, no parsing."""

    specialist: str
    raw: str
    fingerprint: str | None
    """The `system_fingerprint` that the endpoint reported."""
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    """From sending the request to the last byte of the reply."""


class OpinionStore:
    """Replies by key, in a folder that several processes may read and write at once.

    Every look and every write holds the folder's lock for as long as it takes to read or write a
    few files; no lock is held while a specialist is being asked.
    """

    def __init__(self, folder: Path) -> None:
        """Open the store in `folder`, which is made when it does not exist."""
        self._shards = folder / "shards"
        self._index = folder / "index.parquet"
        self._fingerprints = folder / "fingerprints.json"
        self._shards.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(str(folder / ".lock"))

    def find(self, keys: Iterable[str]) -> dict[str, StoredReply]:
        """Return the replies that the store holds under `keys`; absent keys are left out."""
        wanted = set(keys)
        found: dict[str, StoredReply] = {}
        with self._lock:
            index = self._load_index()
            for shard in sorted({index[key] for key in wanted if key in index}):
                rows = self._read_shard(shard) or {}
                found.update({key: reply for key, reply in rows.items() if key in wanted})
        return found

    def add(self, replies: Mapping[str, StoredReply]) -> None:
        """Keep `replies`: all of them once this returns, and none half if the process dies."""
        if not replies:
            return
        with self._lock:
            index = self._load_index()
            fresh = {key: reply for key, reply in replies.items() if key not in index}
            if not fresh:
                return
            shards = set(index.values())
            if len(shards) >= MOST_SHARDS:
                fresh = self._merge(shards, fresh)
            name = self._write_shard(fresh)
            index.update(dict.fromkeys(fresh, name))
            self._write_index(index)
            self._drop_superseded(index)

    def __len__(self) -> int:
        """Return how many replies the store holds."""
        with self._lock:
            return len(self._load_index())

    def fingerprint(self, endpoint: str) -> str | None:
        """Return the fingerprint last reported under `endpoint` (any name for one), or None."""
        with self._lock:
            return self._load_fingerprints().get(endpoint)

    def remember_fingerprint(self, endpoint: str, fingerprint: str | None) -> None:
        """Keep what `endpoint` reported, so that the next run knows under which key to look."""
        with self._lock:
            known = self._load_fingerprints()
            if fingerprint is None:
                known.pop(endpoint, None)
            else:
                known[endpoint] = fingerprint
            write_bytes(self._fingerprints, canonical_json(known))

    def _path(self, shard: str) -> Path:
        return self._shards / f"{shard}.parquet"

    def _shard_names(self) -> set[str]:
        return {file.stem for file in self._shards.glob("[0-9a-f]*.parquet")}

    def _load_index(self) -> dict[str, str]:
        """Return key -> shard, rebuilt if it does not name exactly the shards that are there."""
        present = self._shard_names()
        try:
            table = pq.read_table(self._index).to_pydict()
            index = dict(zip(table["key"], table["shard"], strict=True))
        except FileNotFoundError:
            index = {}
        except (pa.ArrowException, OSError, KeyError) as error:
            logger.warning("opinion store: index %s is broken (%s): rebuilt", self._index, error)
            index = {}
        if set(index.values()) == present:
            return index
        for leftover in self._shards.glob(".*.aside"):
            leftover.unlink(missing_ok=True)  # of a killed writer: we hold the lock
        index = {key: shard for key, shard in index.items() if shard in present}
        for shard in sorted(present - set(index.values())):
            index.update(dict.fromkeys(self._read_shard(shard) or {}, shard))
        self._write_index(index)
        self._drop_superseded(index)
        return index

    def _drop_superseded(self, index: Mapping[str, str]) -> None:
        """Remove shards that a merge copied: each of their keys was found whole in another."""
        for shard in self._shard_names() - set(index.values()):
            self._path(shard).unlink(missing_ok=True)

    def _write_index(self, index: Mapping[str, str]) -> None:
        rows = {"key": list(index.keys()), "shard": list(index.values())}
        write_bytes(self._index, _parquet(pa.table(rows, schema=_INDEX_SCHEMA)))

    def _write_shard(self, replies: Mapping[str, StoredReply]) -> str:
        rows = [{"key": key, **asdict(reply)} for key, reply in sorted(replies.items())]
        data = _parquet(pa.Table.from_pylist(rows, schema=_SCHEMA))
        name = digest_bytes(data)
        write_bytes(self._path(name), data)
        return name

    def _read_shard(self, shard: str) -> dict[str, StoredReply] | None:
        """Return a shard's replies; None after dropping one that is not what its name says."""
        path = self._path(shard)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        if digest_bytes(data) != shard:
            logger.warning(
                "opinion store: shard %s is corrupt (its bytes are not those of its name): dropped;"
                " the opinions it held will be asked again",
                path,
            )
            path.unlink(missing_ok=True)
            return None
        rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(data)).to_pylist()
        return {row.pop("key"): StoredReply(**row) for row in rows}

    def _merge(self, shards: set[str], fresh: Mapping[str, StoredReply]) -> dict[str, StoredReply]:
        merged: dict[str, StoredReply] = {}
        for shard in sorted(shards):
            merged.update(self._read_shard(shard) or {})
        return merged | dict(fresh)

    def _load_fingerprints(self) -> dict[str, str]:
        try:
            known = json.loads(self._fingerprints.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError:
            logger.warning("opinion store: %s is broken: forgotten", self._fingerprints)
            return {}
        return known if isinstance(known, dict) else {}


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())
