"""Puts the chunks of an ingest together as one data version."""

import hashlib
from pathlib import Path

import numpy as np

from mmedagent.cases.adding.chunks import read_chunk
from mmedagent.cases.adding.progress import Tell
from mmedagent.cases.adding.report import Sums
from mmedagent.cases.case import POOLS
from mmedagent.cases.writer import VersionWriter
from mmedagent.errors import BadDataError
from mmedagent.interrupt import StopRequest


def assemble(writer: VersionWriter, place: Path, sums: Sums, tell: Tell, stop: StopRequest) -> None:
    """Put the chunks together, pool by pool. A case id that occurs twice is refused."""
    seen = _Seen(sum(sums.pools.values()))
    pools = [pool for pool in POOLS if sums.pools[pool]]
    done = 0
    for pool in pools:
        for number, facts in enumerate(sums.chunks):
            if pool not in facts.pools:
                continue
            table = read_chunk(place, number)
            if len(facts.pools) > 1:
                table = table.filter(np.asarray(table["pool"]) == pool)
            seen.add(table["case_id"].to_pylist())
            writer.add(pool, table)
            done += table.num_rows
            tell("writing the version", done, sum(sums.pools.values()))
            if stop.asked:
                raise stop.stopped(str(place))


class _Seen:
    """Case ids seen, as 8 bytes each: a million take 8 MB."""

    def __init__(self, count: int) -> None:
        self._hashes = np.zeros(count, dtype=np.uint64)
        self._ids = 0

    def add(self, ids: list[str]) -> None:
        """Note ids; raises `BadDataError` once all are there and one occurs twice."""
        for name in ids:
            digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
            self._hashes[self._ids] = int.from_bytes(digest, "big")
            self._ids += 1
        if self._ids == len(self._hashes):
            repeated = self._ids - len(np.unique(self._hashes))
            if repeated:
                raise BadDataError(
                    f"{repeated} case ids occur twice: the source's own ids are not unique"
                )
