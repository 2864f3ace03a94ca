"""The tail of one stream in this process: reads what is new once, however many subscribe, and hands it to each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from livingworld.background.tasks import BackgroundTasks
from livingworld.errors import Closed, LivingWorldError, NotFound
from livingworld.errors.base import own_copy
from livingworld.live.following import begin, read_events, renew
from livingworld.live.log import live_topic
from livingworld.live.records import LiveEvent, Missed, StoredEvents
from livingworld.live.subscription import Subscription
from livingworld.postgres.notifications import Notifications, TopicSubscription
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit_of_work import UnitOfWork

#: Events that are read by one statement.
PAGE: Final = 500
#: Who is woken by everything that is new need not look by itself.
_LONG: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class LiveServices:
    """What following needs of the process it runs in."""

    unit: UnitOfWork
    #: For what must get through while the pool is busy: few connections of its own.
    background: UnitOfWork
    world_id: UUID
    tasks: BackgroundTasks
    notifications: Notifications
    poll_interval: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What can be followed."""

    id: UUID
    #: Locks what is followed against those who write it, until the transaction ends, or raises that there is none.
    lock: Callable[[Transaction], Awaitable[object]]
    #: Returns the error that says that it is there no more.
    gone: Callable[[], NotFound]


class Tail:
    """One stream, and those of this process who follow it."""

    def __init__(self, services: LiveServices, stream: Stream, ended: Callable[[Tail], None]) -> None:
        self._services = services
        self._stream = stream
        self._ended = ended
        self._subscriptions: set[Subscription] = set()
        self._notifications: TopicSubscription | None = None
        self._ready = asyncio.Event()
        self._error: Exception | None = None
        self._stopping = False
        self.stream_id = stream.id
        #: How many are in a block that follows, or on their way into one.
        self.users = 0
        #: Number of the last event that was handed to the subscriptions, or passed over.
        self.seen = 0

    async def join(self, after: int | None, size: int) -> Subscription:
        """Return a new subscription once the stream is followed; raises what kept it from that."""
        await self._ready.wait()
        if self._error is not None:
            raise own_copy(self._error)
        # No await from here: what is handed out next is handed to this one too.
        subscription = Subscription(self, after, size, self._subscriptions.discard)
        self._subscriptions.add(subscription)
        return subscription

    def stop(self) -> None:
        """End when the look under way is over; nobody is left."""
        self._stopping = True
        self._ended(self)
        self.wake()

    def wake(self) -> None:
        """Look again."""
        if self._notifications is not None:
            self._notifications.wake()

    def is_behind(self, last_number: int | None) -> bool:
        """Return whether there is something to look at: another last number, or none because the stream is gone."""
        return self._ready.is_set() and last_number != self.seen

    async def run(self) -> None:
        """Follow and hand on until stopped, or until what is followed is gone; every subscription hears of an end."""
        try:
            self.seen = await self.follow()
            self._ready.set()
            with self._services.notifications.subscribe(live_topic(self.stream_id)) as self._notifications:
                while not self._stopping:
                    done = await self._look()
                    await self._notifications.wait(_LONG if done else self._services.poll_interval)
        except asyncio.CancelledError:
            self._end(Closed())
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            self._end(error)

    async def follow(self) -> int:
        """Lengthen the follow, or begin it under the lock of what is followed, and return the last number."""
        world_id = self._services.world_id
        number = await self._services.background.run(
            lambda tx: renew(tx, world_id, self.stream_id), repeatable=True, single_statement=True
        )
        return await self._services.unit.run(self._begin, repeatable=True) if number is None else number

    def refuse_other_loops(self) -> None:
        """Raise WrongEventLoop anywhere but where the LivingWorld was opened: nobody would be woken there."""
        self._services.unit.refuse_other_loops()

    async def read(self, after: int) -> StoredEvents:
        """Return a page of stored events; raises that the stream is gone."""
        page = await self._services.background.run(
            lambda tx: read_events(tx, self._services.world_id, self.stream_id, after, PAGE),
            repeatable=True,
            single_statement=True,
        )
        if page is None:
            raise self._stream.gone()
        return page

    async def _begin(self, tx: Transaction) -> int:
        await self._stream.lock(tx)
        return await begin(tx, self._services.world_id, self.stream_id)

    async def _look(self) -> bool:
        """Hand on what is new; False when the server is away."""
        try:
            more = True
            while more and not self._stopping:
                page = await self.read(self.seen)
                self._hand_on(page)
                more = len(page.events) == PAGE
        except (Closed, NotFound):
            raise
        except LivingWorldError:
            return False
        return True

    def _hand_on(self, page: StoredEvents) -> None:
        """Give a page to every subscription; nothing here waits for anybody."""
        items: list[LiveEvent | Missed] = []
        if page.kept_after > self.seen:  # nobody renewed the follow for long, or more was written than is kept
            items.append(Missed(stream_id=self.stream_id, count=None, number=page.kept_after))
        items += page.events
        if items:
            self.seen = items[-1].number
            for subscription in tuple(self._subscriptions):
                subscription.tell(items)

    def _end(self, error: Exception) -> None:
        self._error = error
        self._ready.set()
        self._ended(self)
        for subscription in tuple(self._subscriptions):
            subscription.end(own_copy(error))
