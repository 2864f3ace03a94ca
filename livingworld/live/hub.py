"""The live hub of one world in one process: a tail for each stream that is followed, and what is new read for all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final
from uuid import UUID

from livingworld.errors import Closed, LivingWorldError
from livingworld.live import following
from livingworld.live.live_meter import LiveMeter
from livingworld.live.newcomers import Newcomers
from livingworld.live.polling import LivePolling
from livingworld.live.reading import page_size, read_events
from livingworld.live.records import StoredEvents
from livingworld.live.streams import Stream
from livingworld.live.subscription import Subscription
from livingworld.live.tail import Tail
from livingworld.observability import instruments
from livingworld.postgres.services import Services

#: Most streams that are read by one statement.
_READ_TOGETHER: Final = 200
#: Events that come in quick succession are read together: after each reading the hub rests, for so long for each
#: subscriber that it has woken, so that many subscribers leave the event loop to others.
_REST_SECONDS: Final = 0.00002
_SHORTEST_REST_SECONDS: Final = 0.005
_LONGEST_REST_SECONDS: Final = 0.02
_REMOVED_AT_ONCE: Final = 1_000


class LiveHub:
    """The streams of one world that are followed."""

    def __init__(self, services: Services, polling: LivePolling) -> None:
        self._services = services
        self._polling = polling
        self._newcomers = Newcomers(services)
        self._tails: dict[UUID, Tail] = {}
        #: Those with something to read, in the order in which it was noticed.
        self._moved: dict[Tail, None] = {}
        self._reader: asyncio.Task[None] | None = None
        self.world_id = services.world_id
        self._meter = LiveMeter(services.metrics)
        services.metrics.observe_each(instruments.LIVE_STREAMS, self, lambda each: len(each._tails))  # noqa: SLF001
        services.metrics.observe_each(instruments.LIVE_SUBSCRIPTIONS, self, LiveHub.subscriptions)
        #: So many events of each stream are kept at least.
        self.kept = following.KEPT

    @asynccontextmanager
    async def subscribe(self, stream: Stream, after: int | None, size: int) -> AsyncIterator[Subscription]:
        """Follow a stream while the block runs."""
        self._services.unit.refuse_misplaced()
        with self._polling.subscriber():
            async with self._joined(stream, after, size) as subscription:
                yield subscription

    @asynccontextmanager
    async def _joined(self, stream: Stream, after: int | None, size: int) -> AsyncIterator[Subscription]:
        tail = self._tails.get(stream.id) or self._start(stream)
        tail.users += 1
        try:
            subscription = await tail.join(after, size)
            try:
                yield subscription
            finally:
                subscription.close()
        finally:
            tail.users -= 1
            if not tail.users:
                tail.stop()

    def _start(self, stream: Stream) -> Tail:
        """Make a tail that hears of what is committed from the moment it is followed, so it needs no first look."""
        tail = self._tails[stream.id] = Tail(stream, self)
        self._services.notifications.add(tail.topic, tail)
        self._newcomers.add(tail)
        self._polling.add(self)
        return tail

    def subscriptions(self) -> int:
        """Return how many subscriptions its streams have."""
        return sum(tail.subscribers for tail in self._tails.values())

    async def follow(self, stream: Stream) -> None:
        """Have the writers of a stream log what happens, for some minutes, also without a subscriber."""
        tail = self._tails.get(stream.id)
        if tail is None or not tail.is_followed:
            await self._newcomers.follow(stream)

    def forget(self, tail: Tail) -> None:
        """Let a tail go; a newer one of the same stream stays."""
        if tail.is_over:
            return
        tail.is_over = True
        self._services.notifications.remove(tail.topic, tail)
        del self._tails[tail.stream_id]
        if not self._tails:
            self._polling.remove(self)

    def count_missed(self) -> None:
        """Count that a subscriber was too slow."""
        self._meter.missed()

    def refuse_other_loops(self) -> None:
        """Raise WrongEventLoop anywhere but where the LivingWorld was opened: a waiter would not be woken there."""
        self._services.unit.refuse_other_loops()

    def end(self, error: Exception) -> None:
        """End every subscription with an error."""
        for tail in tuple(self._tails.values()):
            tail.end(error)

    def seen(self) -> dict[UUID, int]:
        """Return the last number of each stream that was handed on."""
        return {tail.stream_id: tail.seen for tail in self._tails.values() if tail.is_followed}

    def look(self, stream_id: UUID) -> None:
        """Read what is new in a stream, if it is followed still."""
        if (tail := self._tails.get(stream_id)) is not None:
            tail.wake()

    def move(self, tail: Tail) -> None:
        """Read what is new for a tail, together with all others that have moved at that moment."""
        if tail.is_over:
            return
        self._moved[tail] = None
        if self._reader is None:
            self._reader = self._services.tasks.watch(self._read_moved())

    async def read(self, tail: Tail, after: int) -> StoredEvents:
        """Return a page of stored events; raises that the stream is gone."""
        pages = await self._services.background.read(read_events, {tail.stream_id: after})
        if tail.stream_id not in pages:
            raise tail.stream.gone()
        return pages[tail.stream_id]

    async def _read_moved(self) -> None:
        try:
            while self._moved:
                tails = list(self._moved)[:_READ_TOGETHER]
                for tail in tails:
                    del self._moved[tail]
                woken = await self._hand_on([tail for tail in tails if tail.is_followed])
                await asyncio.sleep(min(max(woken * _REST_SECONDS, _SHORTEST_REST_SECONDS), _LONGEST_REST_SECONDS))
        finally:
            self._reader = None

    async def _hand_on(self, tails: list[Tail]) -> int:
        """Hand on what is new by one statement, and return how many subscribers that woke."""
        if not tails:
            return 0
        try:
            pages = await self._services.background.read(read_events, {tail.stream_id: tail.seen for tail in tails})
        except LivingWorldError as error:
            if isinstance(error, Closed):
                self.end(error)
            self._polling.look_soon()  # it finds all that was not read here
            return 0
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must get it
            for tail in tails:
                tail.end(error)
            return 0
        size = page_size(len(tails))
        return sum([await self._hand_page(tail, pages.get(tail.stream_id), size) for tail in tails])

    async def _hand_page(self, tail: Tail, page: StoredEvents | None, size: int) -> int:
        if page is None:
            tail.end(tail.stream.gone())
            return 0
        if not await tail.hand_on(page):  # what was notified may not be committed yet
            self._polling.look_soon()
            return 0
        self._meter.handed_on(page.events)
        if len(page.events) == size:
            self.move(tail)
        return tail.subscribers

    async def renew(self) -> bool:
        """Lengthen every follow, and remove what is kept no more; False when something failed."""
        tails = [tail for tail in self._tails.values() if tail.is_followed]
        background = self._services.background
        try:
            found = await background.write_single_idempotent(following.renew_free, [tail.stream_id for tail in tails])
        except LivingWorldError:
            return False
        well = True
        for tail in tails:
            try:
                await self._renew_or_trim(tail, found.get(tail.stream_id))
            except LivingWorldError:
                well = False
        with suppress(LivingWorldError):
            await self._sweep()
        return well

    async def _renew_or_trim(self, tail: Tail, renewed: following.Renewed | None) -> None:
        if renewed is None:  # a writer holds it, or it was over and begins again
            await self._newcomers.follow(tail.stream)
            tail.is_untrimmed = True
            tail.wake()
        if tail.is_untrimmed or (renewed and renewed.last_number - renewed.kept_after > self.kept):
            await self._trim(tail.stream_id)
            tail.is_untrimmed = False

    async def _trim(self, stream_id: UUID) -> None:
        """Keep the last events of a stream; the others are removed in small steps that hold up no writer."""
        write = self._services.background.write_single_idempotent
        await write(following.forget_old, stream_id, self.kept)
        removed = _REMOVED_AT_ONCE
        while removed == _REMOVED_AT_ONCE:
            removed = await write(following.remove_forgotten, stream_id, _REMOVED_AT_ONCE)

    async def _sweep(self) -> None:
        """Remove the events of streams without a follower in any process."""
        background = self._services.background
        for stream_id in await background.read(following.find_left):
            await background.write_idempotent(following.remove_left, stream_id)
