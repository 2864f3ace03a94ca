"""One subscriber: a bounded buffer, and where it stands."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

from livingworld.live.records import LiveEvent, Missed, StoredEvents


class Source(Protocol):
    """Where a subscription gets its events: the tail of its stream."""

    stream_id: UUID

    @property
    def seen(self) -> int:
        """Number of the last event that was handed to the subscriptions, or passed over."""
        ...

    def count_missed(self) -> None:
        """Count that a subscriber was too slow."""
        ...

    def refuse_other_loops(self) -> None:
        """Raise WrongEventLoop anywhere but where the LivingWorld was opened."""
        ...

    async def read(self, after: int) -> StoredEvents:
        """Return a page of stored events."""
        ...


class Subscription:
    """An async iterator of events in the order of commits, and of Missed where some will not come.

    It holds no connection while it waits, and no writer waits for it: when its buffer is full, what is in it is dropped
    for one Missed, and events go on after that. Ends when it is closed, by any task at any time. Raises Closed when the
    LivingWorld is closed, and StoryNotFound, SessionNotFound or WorldNotFound when what is followed was removed.
    """

    def __init__(self, source: Source, after: int | None, size: int, leave: Callable[[Subscription], None]) -> None:
        self._source = source
        self._leave = leave
        self._size = size
        self._buffer: deque[LiveEvent | Missed] = deque()
        self._loop = asyncio.get_running_loop()
        #: The tasks that wait for an item.
        self._waiters: list[asyncio.Future[None]] = []
        self._reading = asyncio.Lock()
        self._error: Exception | None = None
        self._closed = False
        #: Whether stored events are read, which other subscribers have already.
        self._behind = after is not None
        #: Number of the last event that was taken into the buffer, or passed over.
        self._taken = source.seen if after is None else after
        #: Everything with a greater number will come: read the present state once after this was known.
        self.started_at = self._taken
        #: Number of the last item that was given out: what a reconnect names as `after`.
        self.position = self._taken

    def __aiter__(self) -> Subscription:
        """Return the iterator, itself."""
        return self

    async def __anext__(self) -> LiveEvent | Missed:
        """Wait for the next item; cancelled, nothing is lost."""
        # What is there already is given without a further step, since all subscribers do this for each event.
        if not self._buffer and not await self._filled():
            raise StopAsyncIteration
        item = self._buffer.popleft()
        self.position = item.number
        return item

    async def batch(self) -> list[LiveEvent | Missed]:
        """Return all items that are there, at least one, and wait for it; an empty list once it is closed.

        Events in quick succession come together, so a subscriber that sends one message for a batch does less than one
        that iterates. Raises what the iteration raises; cancelled, nothing is lost.
        """
        if not self._buffer and not await self._filled():
            return []
        items = list(self._buffer)
        self._buffer.clear()
        self.position = items[-1].number
        return items

    def close(self) -> None:
        """End the iteration, wherever it waits; again does nothing."""
        self._closed = True
        self._buffer.clear()
        self._wake()
        self._leave(self)

    def deliver(self, events: Sequence[LiveEvent | Missed]) -> None:
        """Take new events into the buffer; called by the tail, never waits."""
        if self._closed or self._behind:
            return
        if events[0].number > self._taken and len(self._buffer) + len(events) <= self._size:
            self._buffer.extend(events)
            self._taken = events[-1].number
        else:
            for event in events:
                self._take(event)
        self._wake()

    def end(self, error: Exception) -> None:
        """Raise an error after what is in the buffer."""
        self._error = error
        self._wake()

    def _take(self, item: LiveEvent | Missed) -> None:
        if item.number <= self._taken:  # it was read from the store already
            return
        self._taken = item.number
        if len(self._buffer) >= self._size:
            self._drop()
        self._buffer.append(item)

    def _drop(self) -> None:
        """Replace all that waits by one Missed that counts it."""
        count: int | None = 0
        for item in self._buffer:
            missed = item.count if isinstance(item, Missed) else 1
            count = None if count is None or missed is None else count + missed
        last = self._buffer[-1].number
        self._source.count_missed()
        self._buffer.clear()
        self._buffer.append(Missed(stream_id=self._source.stream_id, count=count, number=last))

    async def _filled(self) -> bool:
        """Wait for an item, and return whether there is one: not when it is closed."""
        while not self._closed and not self._buffer:
            if self._error is not None:
                raise self._error
            await self._wait()
        return not self._closed

    async def _wait(self) -> None:
        if asyncio.get_running_loop() is not self._loop:
            self._source.refuse_other_loops()
        if self._behind:
            await self._catch_up()
            return
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def _wake(self) -> None:
        """Wake the tasks that wait, each once; nothing is created for a subscriber that nobody waits for."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def _catch_up(self) -> None:
        """Read a page of what is stored; at the tail, go on with the tail in the same step."""
        async with self._reading:
            if not self._behind or self._buffer:
                return
            page = await self._source.read(self._taken)
            if page.kept_after > self._taken or page.last_number < self._taken:
                self._pass_over(page)
            for event in page.events:
                self._take_stored(event)
            self._behind = self._taken < self._source.seen

    def _take_stored(self, event: LiveEvent) -> None:
        self._taken = event.number
        self._buffer.append(event)

    def _pass_over(self, page: StoredEvents) -> None:
        """Report events that are not kept; a number that was never given out is of another past, and counts nothing."""
        known = page.kept_after > self._taken
        number = page.kept_after if known else page.last_number
        self._buffer.append(Missed(stream_id=self._source.stream_id, count=None, number=number))
        self._taken = number
