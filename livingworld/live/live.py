"""Following a story, a session or the world, and publishing to those who do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Generic, NamedTuple, TypeVar
from uuid import UUID

from livingworld.deadlines import one_call
from livingworld.errors import DatabaseFailure, InvalidInput, ServerReadOnly
from livingworld.inputs import check_function, check_integer
from livingworld.live.hub import LiveHub
from livingworld.live.polling import LivePolling
from livingworld.live.publishing import LivePublisher
from livingworld.live.reading import last_numbers
from livingworld.live.streams import Stream, Streams
from livingworld.live.subscription import Subscription
from livingworld.postgres.services import Services
from livingworld.postgres.transactions.transaction import Transaction

T = TypeVar("T")
#: What the functions of the caller get of a transaction.
Scope = TypeVar("Scope")

#: What a function of livingworld that writes answers outside READ COMMITTED.
_NO_STATE_TO_WRITE: Final = "25000"
#: Most events that wait for one subscriber.
MAX_BUFFER: Final = 100_000
_MAX_NUMBER: Final = 2**63 - 1
#: Events that wait for a slow subscriber.
_BUFFER: Final = 1_000


class LiveSnapshot(NamedTuple, Generic[T]):
    """What was read of a stream's owner, and the number of the last event that is in it."""

    state: T
    #: `subscribe(after=number)` goes on with exactly what is not in it.
    number: int


class Live(LivePublisher, Generic[Scope]):
    """What happens in one world, for its followers; writes publish by themselves, in their transactions."""

    def __init__(
        self, services: Services, polling: LivePolling, streams: Streams, scope: Callable[[Transaction], Scope]
    ) -> None:
        super().__init__(services.unit, streams)
        self._services = services
        self._scope = scope
        self._hub = LiveHub(services, polling)

    async def snapshot(
        self,
        read: Callable[[Scope], Awaitable[T]],
        *,
        story: UUID | None = None,
        session: UUID | None = None,
    ) -> LiveSnapshot[T]:
        """Return what `read(tx)` reads of a story, a session or the world, with the number of the last event in it.

        All statements of `read` see one moment: `subscribe(after=number)` brings exactly what is not in the state, here
        or in another process, within the nine minutes that events are kept from then on. `read` may run again; it may
        not write. Waits for no writer, but the first follow of a story or session as in `subscribe`. Raises
        StoryNotFound, SessionNotFound, WorldNotFound, InvalidInput.
        """
        check_function("read", read)
        stream = self._streams.named(self._unit.world_id, story, session)
        self._unit.refuse_misplaced()
        with one_call(self._unit.call_timeout):
            await self._hub.follow(stream)
            try:
                return await self._services.unit.snapshot(self._read, stream, read)
            except (ServerReadOnly, DatabaseFailure) as error:
                if isinstance(error, DatabaseFailure) and error.sqlstate != _NO_STATE_TO_WRITE:
                    raise
        raise InvalidInput("read", "must only read: a snapshot takes no writes and no locks")

    async def _read(self, tx: Transaction, stream: Stream, read: Callable[[Scope], Awaitable[T]]) -> LiveSnapshot[T]:
        (number,) = await last_numbers(tx, [(tx.world_id, stream.id)])
        if number is None:
            raise stream.gone()
        return LiveSnapshot(await read(self._scope(tx)), number)

    def subscribe(
        self,
        *,
        story: UUID | None = None,
        session: UUID | None = None,
        after: int | None = None,
        buffer: int = _BUFFER,
    ) -> AbstractAsyncContextManager[Subscription]:
        """Follow a story, a session, or the world itself while the block runs: `async for event in` what it gives.

        The world's own events are those of no story and no session, and the stories that come and go; what happens in a
        story or session is followed there. From `started_at` on every event comes, in the order of commits: read the
        present state once in the block, then follow. With `after`, the number of the last event that is known, it goes
        on from there, or yields Missed when what came next is no longer kept: all that was committed is kept for five
        minutes after the last subscriber has left, as far as it is no more than 10,000 events. When `buffer` events
        wait for this subscriber, they are dropped for one Missed; neither writers nor other subscribers wait for it.

        The first follow of a story or session waits for its writer, as a write does. Raises StoryNotFound,
        SessionNotFound, WorldNotFound, LockTimeout, Overloaded at `subscription_limit`; the iteration raises the first
        three when what is followed was removed, and Closed when the LivingWorld is closed.
        """
        stream = self._streams.named(self._unit.world_id, story, session)
        number = None if after is None else check_integer("after", after, maximum=_MAX_NUMBER)
        return self._hub.subscribe(stream, number, check_integer("buffer", buffer, minimum=1, maximum=MAX_BUFFER))
