"""The live hub of one world in one process: a tail for each stream that is followed, and what keeps them going."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final
from uuid import UUID

from livingworld.errors import LivingWorldError
from livingworld.live import following
from livingworld.live.subscription import Subscription
from livingworld.live.tail import Stream, Tail
from livingworld.postgres.services import Services

#: A follow is renewed so often in its length, and may fail to be all but once.
_RENEWALS: Final = 3
#: A renewal that failed is tried again after so many seconds.
_AGAIN_SECONDS: Final = 5.0
_REMOVED_AT_ONCE: Final = 1_000


class LiveHub:
    """The streams that are followed."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._tails: dict[UUID, Tail] = {}
        self._poller: asyncio.Task[None] | None = None
        self._renewer: asyncio.Task[None] | None = None
        #: So many events of each stream are kept at least.
        self.kept = following.KEPT

    @asynccontextmanager
    async def subscribe(self, stream: Stream, after: int | None, size: int) -> AsyncIterator[Subscription]:
        """Follow a stream while the block runs."""
        self._services.unit.refuse_misplaced()
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
        tail = self._tails[stream.id] = Tail(self._services, stream, self._forget)
        self._services.tasks.watch(tail.run())
        if self._poller is None:
            self._poller = self._services.tasks.watch(self._keep_polling())
        if self._renewer is None:
            self._renewer = self._services.tasks.watch(self._keep_renewing())
        return tail

    def _forget(self, tail: Tail) -> None:
        """Let a tail go; a newer one of the same stream stays."""
        if self._tails.get(tail.stream_id) is tail:
            del self._tails[tail.stream_id]

    async def _keep_polling(self) -> None:
        try:
            while self._tails:
                await asyncio.sleep(self._services.poll_interval.total_seconds())
                with suppress(LivingWorldError):  # the server is away; the next round finds out
                    await self.poll()
        finally:
            self._poller = None

    async def _keep_renewing(self) -> None:
        """Renew beside the polling: a renewal may have to wait for a writer."""
        every = pause = following.LENGTH.total_seconds() / _RENEWALS
        try:
            while self._tails:
                await asyncio.sleep(pause)
                pause = every if await self.renew() else _AGAIN_SECONDS
        finally:
            self._renewer = None

    async def poll(self) -> None:
        """Look at every stream by one statement, and wake the tails of those that have moved."""
        tails = list(self._tails.values())
        numbers = await self._services.background.read(following.last_numbers, [tail.stream_id for tail in tails])
        for tail in tails:
            if tail.is_behind(numbers.get(tail.stream_id)):
                tail.wake()

    async def renew(self) -> bool:
        """Lengthen every follow, and remove what is kept no more; False when something failed."""
        well = True
        for tail in list(self._tails.values()):
            try:
                await tail.follow()
                await self._trim(tail.stream_id)
            except LivingWorldError:
                well = False
        with suppress(LivingWorldError):
            await self._sweep()
        return well

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
