"""The tail of one stream in this process: what is new is read once, and handed to every subscriber."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from livingworld.errors.base import own_copy
from livingworld.live.log import live_topic
from livingworld.live.records import LiveEvent, Missed, StoredEvents
from livingworld.live.streams import Stream
from livingworld.live.subscription import Subscription

#: So many subscriptions are given a page in one step of the event loop.
_AT_ONCE: Final = 100


class Hub(Protocol):
    """What a tail needs of the hub of its world."""

    def move(self, tail: Tail) -> None:
        """Read what is new for a tail."""

    def forget(self, tail: Tail) -> None:
        """Let a tail go that is over."""

    def count_missed(self) -> None:
        """Count that a subscriber was too slow."""

    def refuse_other_loops(self) -> None:
        """Raise WrongEventLoop anywhere but where the LivingWorld was opened: a waiter would not be woken there."""

    async def read(self, tail: Tail, after: int) -> StoredEvents:
        """Return a page of stored events; raises that the stream is gone."""
        ...


class Tail:
    """One stream, and its subscribers in this process; it has no task of its own."""

    def __init__(self, stream: Stream, hub: Hub) -> None:
        self._hub = hub
        self._subscriptions: set[Subscription] = set()
        self._begun = asyncio.Event()
        self._error: Exception | None = None
        self._woken = False
        self.stream = stream
        self.stream_id = stream.id
        self.topic = live_topic(stream.id)
        #: Whether no more is handed on.
        self.is_over = False
        #: Whether events may be stored that are kept no more.
        self.is_untrimmed = True
        #: How many blocks follow it, or are about to.
        self.users = 0
        #: Number of the last event that was handed to the subscriptions, or passed over.
        self.seen = 0

    @property
    def is_followed(self) -> bool:
        """Whether its writers log what happens, as far as this process knows."""
        return self._begun.is_set() and not self.is_over

    async def join(self, after: int | None, size: int) -> Subscription:
        """Return a new subscription once the stream is followed; raises what prevented it."""
        await self._begun.wait()
        if self._error is not None:
            raise own_copy(self._error)
        # No await from here: what is handed out next is handed to this one too.
        subscription = Subscription(self, after, size, self._subscriptions.discard)
        self._subscriptions.add(subscription)
        return subscription

    def begin(self, last_number: int) -> None:
        """Hand on what comes after a number; the stream is followed."""
        self.seen = last_number
        self._begun.set()
        if self._woken:  # by what was committed while the answer was on its way
            self._hub.move(self)

    def wake(self) -> None:
        """Look again: the stream has moved, or may have."""
        if self._begun.is_set():
            self._hub.move(self)
        else:
            self._woken = True

    def stop(self) -> None:
        """Hand on nothing more: the last user has left."""
        self._hub.forget(self)

    def end(self, error: Exception) -> None:
        """Raise an error in every subscription, and in those who are about to join."""
        self._error = error
        self._begun.set()
        self._hub.forget(self)
        for subscription in tuple(self._subscriptions):
            subscription.end(own_copy(error))

    def count_missed(self) -> None:
        """Count that a subscriber was too slow."""
        self._hub.count_missed()

    def refuse_other_loops(self) -> None:
        """Raise WrongEventLoop; see Hub."""
        self._hub.refuse_other_loops()

    async def read(self, after: int) -> StoredEvents:
        """Return a page of stored events; raises that the stream is gone."""
        return await self._hub.read(self, after)

    async def hand_on(self, page: StoredEvents) -> int:
        """Give a page to every subscription, and return how many items that is; waits for nobody.

        Between some subscriptions and the next the event loop runs those and whatever else is ready. One that joins
        meanwhile begins after the page.
        """
        items: list[LiveEvent | Missed] = []
        if page.kept_after > self.seen:  # the follow was over, or more was written than is kept
            items.append(Missed(stream_id=self.stream_id, count=None, number=page.kept_after))
        items += page.events
        if items:
            self.seen = items[-1].number
            for number, subscription in enumerate(tuple(self._subscriptions), start=1):
                subscription.deliver(items)
                if not number % _AT_ONCE:
                    await asyncio.sleep(0)
        return len(items)

    @property
    def subscribers(self) -> int:
        """How many subscriptions it hands on to."""
        return len(self._subscriptions)
