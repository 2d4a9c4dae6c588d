"""The panel as endpoints: the one client that asks specialists, on a laptop and on a cluster.

Specialists answer independently: each gets the case alone, never another's opinion. What the
opinion store holds is not asked again.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from mmedagent.cases.case import Opinion, Question, Specialty
from mmedagent.consultation.doctor import Usage
from mmedagent.consultation.parsing import match_option, parse_reply
from mmedagent.digests import digest_value
from mmedagent.errors import PanelError, UsageError
from mmedagent.panel.endpoint import Endpoint, Member
from mmedagent.panel.folder import read_panel_folder
from mmedagent.panel.request import Request
from mmedagent.panel.server import serve_panel
from mmedagent.panel.store import OpinionStore, StoredReply
from mmedagent.progress import tell
from mmedagent.recipes.panel import PanelRecipe

T = TypeVar("T")

_REPLIES_PER_SHARD = 256
_MOST_ROUNDS = 3


@dataclass
class PanelStats:
    """What the opinions given so far took. An opinion given twice counts twice."""

    opinions: int = 0
    asked: int = 0
    """Requests that were sent and answered; the other opinions came from the store."""
    no_opinion: dict[str, int] = field(default_factory=dict)
    """Opinions without a letter, by specialist."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    """Sum over the requests asked of the seconds each took."""
    given: Usage = Usage()
    """Of all opinions given, those from the store with what they took when they were asked."""

    @property
    def from_store(self) -> int:
        """Opinions for which nothing had to be asked."""
        return self.opinions - self.asked


class EndpointPanel:
    """A `consultation.doctor.Panel` of OpenAI-compatible endpoints. Use it in a `with` block.

    `connect` gives the URL of each specialist without an endpoint of its own, and is called when
    the first question has to be asked: with all replies in the store, nothing is started.
    `opinions` blocks, and may be called from any thread.
    """

    def __init__(
        self,
        members: Sequence[Member],
        recipe: PanelRecipe,
        store: OpinionStore | None,
        connect: Callable[[], str] | None = None,
    ) -> None:
        """Prepare to ask `members` as `recipe` says; `store` None keeps nothing."""
        self.stats = PanelStats(no_opinion={member.name: 0 for member in members})
        self.digest = _panel_digest(members, recipe)
        self._members = tuple(members)
        self._recipe = recipe
        self._store = store
        self._connect = connect
        self._endpoints: dict[str, Endpoint] = {}
        self._fingerprints: dict[str, str | None] = {}
        self._loop = _LoopThread()
        self._starting = threading.Lock()
        self._counting = threading.Lock()

    def start(self) -> None:
        """Connect now instead of at the first question; a server wants this before it is ready."""
        with self._starting:
            if self._endpoints:
                return
            local = None
            if self._connect and any(m.recipe.endpoint is None for m in self._members):
                local = self._connect()
            self._endpoints = self._loop.run(self._open(local))

    def opinions(
        self, questions: Sequence[Question], roles: Sequence[Specialty]
    ) -> list[tuple[Opinion, ...]]:
        """Return each question's opinions, one a specialist, in the recipe's order.

        A reply that cannot be read is an opinion without a letter. Whatever was answered before
        an error is kept in the store.

        Raises `PanelError` when an endpoint is down, too slow, or answers nonsense, or when it
        changes its fingerprint while it is being asked.
        """
        recipe = self._recipe
        requests = [
            Request(question, role, recipe.style, recipe.sampling)
            for question, role in zip(questions, roles, strict=True)
        ]
        replies = self._replies(requests)
        given = [
            tuple(_opinion(r, member, replies[r.digest, member.name]) for member in self._members)
            for r in requests
        ]
        with self._counting:
            self.stats.opinions += sum(len(said) for said in given)
            for r in requests:
                for member in self._members:
                    self.stats.given += _usage(replies[r.digest, member.name])
            for said in given:
                for opinion in said:
                    self.stats.no_opinion[opinion.specialist] += opinion.letter is None
        return given

    @property
    def usage(self) -> Usage:
        """What all opinions given so far took, whenever they were asked."""
        return self.stats.given

    def close(self) -> None:
        """Close all connections; the panel cannot be asked any more."""
        for endpoint in self._endpoints.values():
            self._loop.run(endpoint.close())
        self._loop.close()

    def __enter__(self) -> Self:
        """Return the panel."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the panel."""
        self.close()

    async def _open(self, local: str | None) -> dict[str, Endpoint]:
        endpoints = {}
        for member in self._members:
            url = member.recipe.endpoint or local
            if url is None:
                raise UsageError(
                    f"specialist {member.name} has no endpoint and there is no panel folder to"
                    " serve it from"
                )
            endpoints[member.name] = Endpoint(
                member, url, self._recipe.timeout_seconds, self._recipe.retries
            )
        return endpoints

    def _replies(self, requests: Sequence[Request]) -> dict[tuple[str, str], StoredReply]:
        """Return a reply per (request digest, specialist), asking what the store does not hold.

        An endpoint without weights or pin is looked up under the fingerprint it last reported. If
        it now reports another, all its opinions are gathered anew under that: never a mixture.
        """
        held: dict[str, StoredReply] = {}
        for _ in range(_MOST_ROUNDS):
            keys = {
                (request.digest, member.name): request.key(
                    member.identity(self._known_fingerprint(member))
                )
                for request in requests
                for member in self._members
            }
            if self._store is not None:
                held |= self._store.find(key for key in keys.values() if key not in held)
            missing = {
                keys[request.digest, member.name]: (request, member)
                for request in requests
                for member in self._members
                if keys[request.digest, member.name] not in held
            }
            if not missing:
                return {pair: held[key] for pair, key in keys.items()}
            self.start()
            held |= self._loop.run(self._ask(list(missing.values())))
        raise PanelError(
            "an endpoint changes its system_fingerprint between requests: pin one with"
            " panel.specialists.<n>.fingerprint, or use an endpoint that serves one model"
        )

    def _known_fingerprint(self, member: Member) -> str | None:
        if member.expected is not None:
            return member.expected
        if member.name not in self._fingerprints and self._store is not None:
            self._fingerprints[member.name] = self._store.fingerprint(member.address)
        return self._fingerprints.get(member.name)

    async def _ask(self, asked: list[tuple[Request, Member]]) -> dict[str, StoredReply]:
        """Ask all of `asked` side by side; keep replies in the store as they come."""
        held: dict[str, StoredReply] = {}
        unsaved: dict[str, StoredReply] = {}
        slots = asyncio.Semaphore(self._recipe.concurrency)

        async def one(request: Request, member: Member) -> None:
            async with slots:
                reply = await self._endpoints[member.name].ask(request)
            key = request.key(member.identity(reply.fingerprint))
            held[key] = unsaved[key] = reply
            self._note(member, reply)
            tell(len(held), len(asked), f"{self.stats.asked} opinions asked")
            if len(unsaved) >= _REPLIES_PER_SHARD:
                self._save(unsaved)

        try:
            async with asyncio.TaskGroup() as group:
                for request, member in asked:
                    group.create_task(one(request, member))
        except BaseExceptionGroup as group_of_errors:
            raise group_of_errors.exceptions[0] from None  # the first stops the others
        finally:
            self._save(unsaved)
        return held

    def _note(self, member: Member, reply: StoredReply) -> None:
        with self._counting:
            self.stats.asked += 1
            self.stats.prompt_tokens += reply.prompt_tokens
            self.stats.completion_tokens += reply.completion_tokens
            self.stats.seconds += reply.seconds
        if member.expected is None and self._fingerprints.get(member.name) != reply.fingerprint:
            self._fingerprints[member.name] = reply.fingerprint
            if self._store is not None:
                self._store.remember_fingerprint(member.address, reply.fingerprint)

    def _save(self, unsaved: dict[str, StoredReply]) -> None:
        if self._store is not None:
            self._store.add(unsaved)
        unsaved.clear()


@contextmanager
def open_panel(
    recipe: PanelRecipe, folder: Path | None = None, store: Path | None = None
) -> Iterator[EndpointPanel]:
    """Yield the panel of `recipe`; specialists without an endpoint are served from `folder`.

    Their server is a subprocess on loopback, started when first needed and ended with the block.
    `store` is the opinion store's folder; None keeps nothing.

    Raises `UsageError` when a local specialist is not in `folder`, `BrokenEvidenceError` when the
    folder's weights are not those of its manifest.
    """
    local = [s.name for s in recipe.specialists if s.endpoint is None]
    digests: Mapping[str, str] = {}
    if local:
        if folder is None:
            raise UsageError(f"specialists {', '.join(local)}: no endpoint and no panel folder")
        digests = read_panel_folder(folder).digests
    unknown = [name for name in local if name not in digests]
    if unknown:
        raise UsageError(
            f"panel.specialists: {', '.join(unknown)} has no endpoint and is not in {folder},"
            f" which holds {', '.join(digests)}"
        )
    members = [
        Member(s, digests[s.name] if s.endpoint is None else None) for s in recipe.specialists
    ]
    with ExitStack() as stack:

        def connect() -> str:
            assert folder is not None  # there are local specialists, so it was read above
            return stack.enter_context(serve_panel(folder)).url

        opened = OpinionStore(store) if store is not None else None
        yield stack.enter_context(EndpointPanel(members, recipe, opened, connect))


class _LoopThread:
    """An event loop in a thread of its own: callers may be sync code or inside another loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="panel", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        self.run(_let_others_end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _let_others_end() -> None:
    """Wait for work that was cancelled: it still keeps in the store what had been answered."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)


def _opinion(request: Request, member: Member, stored: StoredReply) -> Opinion:
    reply = parse_reply(stored.raw)
    return Opinion(
        specialist=member.name,
        role=request.role,
        letter=match_option(reply.answer, request.question.options),
        reasoning=reply.reasoning,
        raw=stored.raw,
    )


def _usage(stored: StoredReply) -> Usage:
    return Usage(1, stored.prompt_tokens, stored.completion_tokens, stored.seconds)


def _panel_digest(members: Sequence[Member], recipe: PanelRecipe) -> str:
    """Return the digest of who is asked, in which order, and how."""
    return digest_value(
        {
            "specialists": [[m.name, m.identity(None).digest] for m in members],
            "style": recipe.style,
            "sampling": recipe.sampling.model_dump(),
        }
    )
