"""The tail of one stream in this process: it reads what is new once, and hands it to every subscriber."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from livingworld.errors import Closed, LivingWorldError, NotFound
from livingworld.errors.base import own_copy
from livingworld.live.following import begin, read_events, renew
from livingworld.live.log import live_topic
from livingworld.live.records import LiveEvent, Missed, StoredEvents
from livingworld.live.subscription import Subscription
from livingworld.postgres.notifications import TopicSubscription
from livingworld.postgres.services import Services
from livingworld.postgres.transactions.transaction import Transaction

#: Events that are read by one statement.
PAGE: Final = 500
#: A tail that is woken by everything that is new need not look by itself.
_LONG: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What can be followed."""

    id: UUID
    #: Locks what has this id against its writers, until the transaction ends; raises what `gone` returns.
    lock: Callable[[Transaction, UUID], Awaitable[object]]
    #: Returns the error that says that it does not exist.
    gone: Callable[[], NotFound]


class Tail:
    """One stream, and its subscribers in this process."""

    def __init__(self, services: Services, stream: Stream, ended: Callable[[Tail], None]) -> None:
        self._services = services
        self._stream = stream
        self._ended = ended
        self._subscriptions: set[Subscription] = set()
        self._notifications: TopicSubscription | None = None
        self._ready = asyncio.Event()
        self._error: Exception | None = None
        self._stopping = False
        self.stream_id = stream.id
        #: How many blocks follow it, or are about to.
        self.users = 0
        #: Number of the last event that was handed to the subscriptions, or passed over.
        self.seen = 0

    async def join(self, after: int | None, size: int) -> Subscription:
        """Return a new subscription once the stream is followed; raises what prevented it."""
        await self._ready.wait()
        if self._error is not None:
            raise own_copy(self._error)
        # No await from here: what is handed out next is handed to this one too.
        subscription = Subscription(self, after, size, self._subscriptions.discard)
        self._subscriptions.add(subscription)
        return subscription

    def stop(self) -> None:
        """End when the look under way is over: the last user has left."""
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
        """Follow and hand on until stopped, or until what is followed is gone, which ends every subscription."""
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
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must get it
            self._end(error)

    async def follow(self) -> int:
        """Lengthen the follow, or begin it under the lock of what is followed, and return the last number."""
        number = await self._services.background.write_single_idempotent(renew, self.stream_id)
        return await self._services.unit.write_idempotent(_begin, self._stream) if number is None else number

    def refuse_other_loops(self) -> None:
        """Raise WrongEventLoop anywhere but where the LivingWorld was opened: a waiter would not be woken there."""
        self._services.unit.refuse_other_loops()

    async def read(self, after: int) -> StoredEvents:
        """Return a page of stored events; raises that the stream is gone."""
        page = await self._services.background.read(read_events, self.stream_id, after, PAGE)
        if page is None:
            raise self._stream.gone()
        return page

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
        """Give a page to every subscription; nothing here waits."""
        items: list[LiveEvent | Missed] = []
        if page.kept_after > self.seen:  # the follow was over, or more was written than is kept
            items.append(Missed(stream_id=self.stream_id, count=None, number=page.kept_after))
        items += page.events
        if items:
            self.seen = items[-1].number
            for subscription in tuple(self._subscriptions):
                subscription.deliver(items)

    def _end(self, error: Exception) -> None:
        self._error = error
        self._ready.set()
        self._ended(self)
        for subscription in tuple(self._subscriptions):
            subscription.end(own_copy(error))


async def _begin(tx: Transaction, stream: Stream) -> int:
    await stream.lock(tx, stream.id)
    return await begin(tx, stream.id)
