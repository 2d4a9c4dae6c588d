"""Chunks of questions, converted in worker processes and kept on disk until all are there.

A chunk is two files: its cases as an Arrow stream, and then, as the mark that it is whole, its
facts. Whatever ends the work, what is whole stays, and the same command goes on from there.
"""

import os
import signal
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from mmedagent import atomic
from mmedagent.cases.adding.convert import Converter
from mmedagent.cases.layout import row_of, schema, to_arrow
from mmedagent.cases.multiple_choice import Vocabulary
from mmedagent.cases.sources.contract import SourceCase
from mmedagent.errors import MMedAgentError
from mmedagent.interrupt import StopRequest
from mmedagent.recipes.sets import DataSetRecipe

CASES_PER_CHUNK = 250
_SECONDS_BETWEEN_LOOKS = 0.2
_WAITING_PER_WORKER = 2
_converter: Converter | None = None
"""A worker's own, built once."""


class ChunkFacts(BaseModel):
    """What became of a chunk's questions."""

    model_config = ConfigDict(extra="forbid")

    questions: int
    pools: list[str]
    """Each kept case's pool, in order."""
    unmapped: dict[str, int]
    refused: int
    bad: list[str]
    privacy: dict[str, Any]


def convert_chunks(
    questions: Iterable[SourceCase],
    converter: tuple[DataSetRecipe, Vocabulary, bool],
    work: Path,
    workers: int,
    stop: StopRequest,
) -> Generator[ChunkFacts, None, None]:
    """Convert `questions` into chunks in the folder `work`; yield each chunk's facts in order.

    Chunks that are there are not made again. With one worker all is done in this process. Raises
    `MMedAgentError` when a worker died, `InterruptedWithCheckpoint` when `stop` was asked for.
    """
    work.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        pool = stack.enter_context(_Pool(converter, workers)) if workers > 1 else None
        if pool is None:
            _start(*converter)
        ahead: list[Future[None] | None] = []
        done = 0
        for number, members in enumerate(_chunks(questions)):
            ahead.append(_begin(pool, number, members, work))
            if len(ahead) >= _WAITING_PER_WORKER * workers:
                yield _end(ahead.pop(0), work, done, stop)
                done += 1
        for future in ahead:
            yield _end(future, work, done, stop)
            done += 1


def read_chunk(work: Path, number: int) -> pa.Table:
    """Return a chunk's cases, in order."""
    with pa.memory_map(str(_path(work, number, "arrow"))) as file:
        return pa.ipc.open_stream(file).read_all()


def _chunks(questions: Iterable[SourceCase]) -> Iterator[list[SourceCase]]:
    rest = iter(questions)
    while members := list(islice(rest, CASES_PER_CHUNK)):
        yield members


def _begin(
    pool: "_Pool | None", number: int, members: list[SourceCase], work: Path
) -> Future[None] | None:
    if _path(work, number, "json").exists():
        return None
    if pool is None:
        _convert(number, members, work)
        return None
    return pool.executor.submit(_convert, number, members, work)


def _end(future: Future[None] | None, work: Path, number: int, stop: StopRequest) -> ChunkFacts:
    while future is not None:
        if stop.asked:
            raise stop.stopped(str(work))
        try:
            future.result(_SECONDS_BETWEEN_LOOKS)
            break
        except TimeoutError:
            continue
        except BrokenProcessPool:
            raise MMedAgentError(
                "a worker process was ended from outside, perhaps for want of memory: run the same"
                " command again, it goes on; `--jobs 1` needs least"
            ) from None
    if stop.asked:
        raise stop.stopped(str(work))
    return ChunkFacts.model_validate_json(_path(work, number, "json").read_bytes())


def _convert(number: int, members: list[SourceCase], work: Path) -> None:
    assert _converter is not None
    outcome = _converter.convert(members)
    table = to_arrow([row_of(case) for case in outcome.cases])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema()) as writer:
        writer.write_table(table)
    atomic.write_bytes(_path(work, number, "arrow"), sink.getvalue().to_pybytes())
    facts = ChunkFacts(
        questions=len(members),
        pools=[case.pool for case in outcome.cases],
        unmapped=dict(outcome.unmapped),
        refused=outcome.refused,
        bad=outcome.bad,
        privacy=outcome.privacy.as_dict(),
    )
    atomic.write_text(_path(work, number, "json"), facts.model_dump_json())


def _path(work: Path, number: int, kind: str) -> Path:
    return work / f"chunk-{number:06d}.{kind}"


class _Pool:
    """Worker processes that end with this one, whatever ends it."""

    def __init__(self, converter: tuple[DataSetRecipe, Vocabulary, bool], workers: int) -> None:
        self.executor = ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=_start, initargs=converter
        )

    def __enter__(self) -> "_Pool":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            for process in list((self.executor._processes or {}).values()):
                process.terminate()
        self.executor.shutdown(wait=True, cancel_futures=True)


def _start(recipe: DataSetRecipe, vocabulary: Vocabulary, has_validation: bool) -> None:
    global _converter
    _converter = Converter(recipe, vocabulary, has_validation)
    parent = parent_process()
    if parent is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means

        def follow() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()
