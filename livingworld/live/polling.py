"""The polling of one process: one statement for all its followed streams, rare while notifications arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

from livingworld.background.tasks import BackgroundTasks
from livingworld.errors import Closed, LivingWorldError, Overloaded
from livingworld.live import following
from livingworld.live.reading import last_numbers
from livingworld.postgres.notifications import Notifications, TopicSubscription
from livingworld.postgres.transactions.database import Database

if TYPE_CHECKING:
    from livingworld.settings.settings import Settings

#: A follow is renewed so often in its length, and may fail to be all but once.
_RENEWALS: Final = 3
#: A renewal that failed is tried again after so many seconds.
_AGAIN_SECONDS: Final = 5.0
#: Notified by nobody; its subscriber is woken when notifications may have been missed.
_TOPIC: Final = "live"


class Followed(Protocol):
    """The streams of one world that are followed here."""

    @property
    def world_id(self) -> UUID:
        """Id of the world."""
        ...

    def seen(self) -> Mapping[UUID, int]:
        """Return the last number of each stream that was handed on."""
        ...

    def look(self, stream_id: UUID) -> None:
        """Read what is new in a stream."""

    async def renew(self) -> bool:
        """Lengthen the follows; False when something failed."""
        ...

    def end(self, error: Exception) -> None:
        """End every subscription with an error."""


class LivePolling:
    """What looks at the followed streams by itself, since a notification is a hint that may be lost."""

    def __init__(
        self, background: Database, notifications: Notifications, tasks: BackgroundTasks, settings: Settings
    ) -> None:
        self._most, self._subscribers = settings.subscription_limit, 0
        self._background = background
        self._notifications = notifications
        self._tasks = tasks
        #: The pause between two polls while no notification can arrive.
        self._interval = settings.poll_interval
        self._followed: set[Followed] = set()
        self._subscription = TopicSubscription()
        self._poller: asyncio.Task[None] | None = None
        self._renewer: asyncio.Task[None] | None = None

    @contextmanager
    def subscriber(self) -> Iterator[None]:
        """Count a subscriber of this process while the block runs; raises Overloaded for one too many."""
        if self._subscribers >= self._most:
            raise Overloaded(setting="subscription_limit", limit=self._most)
        self._subscribers += 1
        try:
            yield
        finally:
            self._subscribers -= 1

    def add(self, followed: Followed) -> None:
        """Look at the streams of a world until it is removed."""
        self._followed.add(followed)
        if self._poller is None:
            self._poller = self._tasks.watch(self._keep_polling())
        if self._renewer is None:
            self._renewer = self._tasks.watch(self._keep_renewing())

    def remove(self, followed: Followed) -> None:
        """Look at the streams of a world no more."""
        self._followed.discard(followed)
        if not self._followed:
            self._subscription.wake()

    def look_soon(self) -> None:
        """Poll after one interval: something was notified that is not there yet, or could not be read."""
        self._subscription.wake_within(self._interval)

    async def poll(self) -> None:
        """Look at every stream, and read those that have moved or are gone.

        One statement for all worlds, or one for each where a transaction sees the rows of one world only.
        """
        if self._background.scope(None) is None:
            await self._look_at(tuple(self._followed), None)
            return
        for followed in tuple(self._followed):
            await self._look_at([followed], followed.world_id)

    async def _look_at(self, worlds: Collection[Followed], world_id: UUID | None) -> None:
        streams = [(each, stream_id, seen) for each in worlds for stream_id, seen in each.seen().items()]
        if not streams:
            return
        keys = [(followed.world_id, stream_id) for followed, stream_id, _ in streams]
        numbers = await self._background.run(
            lambda tx: last_numbers(tx, keys), repeatable=True, single_statement=True, world_id=world_id
        )
        for (followed, stream_id, seen), number in zip(streams, numbers, strict=True):
            if number != seen:
                followed.look(stream_id)

    async def _keep_polling(self) -> None:
        try:
            with self._notifications.subscribe(_TOPIC) as self._subscription:
                while self._followed:
                    await self._subscription.wait_or_poll(self._interval)
                    await self._try_to_poll()
        except (asyncio.CancelledError, Closed) as ended:
            for followed in tuple(self._followed):
                followed.end(Closed())
            if isinstance(ended, asyncio.CancelledError):
                raise
        finally:
            self._poller = None

    async def _try_to_poll(self) -> None:
        try:
            await self.poll()
        except Closed:
            raise
        except LivingWorldError:  # the server is away; the next poll finds out
            self.look_soon()

    async def _keep_renewing(self) -> None:
        """Renew beside the polling: a renewal may have to wait for a writer."""
        every = pause = following.LENGTH.total_seconds() / _RENEWALS
        try:
            while self._followed:
                await asyncio.sleep(pause)
                well = [await followed.renew() for followed in tuple(self._followed)]
                pause = every if all(well) else _AGAIN_SECONDS
        finally:
            self._renewer = None
