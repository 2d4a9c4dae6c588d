"""Micro-batching: requests that arrive together are answered by one call of the model.

For a tiny model a call costs nearly the same for one prompt as for a few dozen.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Generic, TypeVar

from mmedagent.consultation.doctor import Prompt, Sampling

R = TypeVar("R")


@dataclass(frozen=True)
class _Waiting(Generic[R]):
    prompt: Prompt
    sampling: Sampling
    reply: asyncio.Future[R]


class MicroBatcher(Generic[R]):
    """Collects prompts for one model; run `work` as a task beside the callers of `reply`.

    A batch is closed when it holds `most` prompts or `wait_seconds` after its first one. Greedy
    prompts share a call. Sampled ones get a call each, so that a seed means the same reply
    whoever else asks at that moment.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Prompt], Sampling], Sequence[R]],
        executor: Executor,
        *,
        most: int = 64,
        wait_seconds: float = 0.005,
    ) -> None:
        """Prepare to call `answer` in `executor`; nothing runs until `work` does."""
        self.calls = 0
        """How often the model was called."""
        self._call = answer
        self._executor = executor
        self._most = most
        self._wait = wait_seconds
        self._queue: asyncio.Queue[_Waiting[R]] = asyncio.Queue()

    async def reply(self, prompt: Prompt, sampling: Sampling) -> R:
        """Return the answer to one prompt. What the model raises is raised here."""
        reply: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        await self._queue.put(_Waiting(prompt, sampling, reply))
        return await reply

    async def work(self) -> None:
        """Answer prompts until cancelled."""
        while True:
            batch = await self._next_batch()
            alike: dict[tuple[Sampling, int], list[_Waiting[R]]] = defaultdict(list)
            for place, waiting in enumerate(batch):
                greedy = waiting.sampling.temperature == 0
                alike[waiting.sampling, -1 if greedy else place].append(waiting)
            for (sampling, _), group in alike.items():
                await self._answer(group, sampling)

    async def _next_batch(self) -> list[_Waiting[R]]:
        batch = [await self._queue.get()]
        deadline = asyncio.get_running_loop().time() + self._wait
        while len(batch) < self._most:
            try:
                async with asyncio.timeout_at(deadline):
                    batch.append(await self._queue.get())
            except TimeoutError:
                break
        return [waiting for waiting in batch if not waiting.reply.done()]

    async def _answer(self, group: list[_Waiting[R]], sampling: Sampling) -> None:
        prompts = [waiting.prompt for waiting in group]
        loop = asyncio.get_running_loop()
        self.calls += 1
        try:
            replies = await loop.run_in_executor(self._executor, self._call, prompts, sampling)
        except Exception as error:
            if len(group) == 1:
                _hand(group[0].reply, error)  # to whoever asked; the server goes on
                return
            # One bad prompt, such as a broken image, must not cost the others their answers.
            for waiting in group:
                await self._answer([waiting], sampling)
            return
        for waiting, reply in zip(group, replies, strict=True):
            _hand(waiting.reply, reply)


def _hand(future: asyncio.Future[R], outcome: R | Exception) -> None:
    """Give a caller its reply or its error, unless it has gone away."""
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
