"""Players who are connected to a story, a session or the world, over all processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final
from uuid import UUID

from livingworld.background.periodic_service import running
from livingworld.errors import LivingWorldError, PresenceNotFound
from livingworld.identifiers import new_id
from livingworld.inputs import MAX_TTL, MIN_TTL, check_duration, check_label, check_uuid
from livingworld.live import presence_writing
from livingworld.live.records import Presence, PresentPlayer
from livingworld.live.streams import Stream, Streams
from livingworld.postgres.keyset import MAX_PAGE_SIZE, check_limit
from livingworld.postgres.services import Services
from livingworld.postgres.transactions.world_database import WorldDatabase

#: A connection without a heartbeat for so long is over, unless its call says otherwise.
TTL: Final = timedelta(seconds=30)
#: The pause between two looks for expired connections.
SWEEP_EVERY: Final = timedelta(seconds=5)
#: A connection is renewed so often in its length.
_RENEWALS: Final = 3


class Presences:
    """The players of one world who are connected, each by one connection or several.

    The first connection of a player publishes "player joined" to the story, session or world, the last one that leaves
    or expires "player left": each once, whatever number of processes, in turns.
    """

    def __init__(self, services: Services, streams: Streams) -> None:
        self._services = services
        self._streams = streams
        #: The blocks of `connected` in this process; while there is one, it also looks for expired connections.
        self._blocks = 0
        self._sweeper: asyncio.Task[None] | None = None

    async def join(
        self,
        player: str,
        *,
        story: UUID | None = None,
        session: UUID | None = None,
        presence: UUID | None = None,
        ttl: timedelta = TTL,
    ) -> Presence:
        """Connect a player to a story, a session or the world, until it leaves or has no heartbeat for `ttl`.

        `presence` is the id of the connection, a new one by default; the same one again only lengthens it. Locks the
        player there for a moment. Raises StoryNotFound, SessionNotFound, WorldNotFound, and LimitReached for too many
        players in one place or connections of one player there.
        """
        key = new_id() if presence is None else check_uuid("presence", presence)
        given = self._checked(player, story, session, ttl)
        return await self._services.unit.write_idempotent(presence_writing.join, given[0], key, *given[1:])

    async def heartbeat(self, presence: UUID) -> Presence:
        """Lengthen a connection by its `ttl` from now; raises PresenceNotFound when it has expired. One statement."""
        key = check_uuid("presence", presence)
        return await self._services.unit.write_single_idempotent(presence_writing.renew, key)

    async def leave(self, presence: UUID) -> bool:
        """End a connection; False when it was over before."""
        return await self._services.unit.write_idempotent(presence_writing.leave, check_uuid("presence", presence))

    async def list(
        self, *, story: UUID | None = None, session: UUID | None = None, limit: int = MAX_PAGE_SIZE
    ) -> tuple[PresentPlayer, ...]:
        """Return the connected players of a story, a session or the world by name; one round trip, no lock."""
        stream = self._streams.named(self._services.world_id, story, session)
        return await self._services.unit.read(presence_writing.read_present, stream.id, check_limit(limit))

    async def expire(self, *, limit: int = 100) -> int:
        """Remove expired connections, at most `limit`, and return how many; publishes which players left with them."""
        return await self._services.unit.write_idempotent(presence_writing.expire, check_limit(limit))

    @asynccontextmanager
    async def connected(
        self, player: str, *, story: UUID | None = None, session: UUID | None = None, ttl: timedelta = TTL
    ) -> AsyncIterator[Presence]:
        """Keep a player connected while the block runs: join, send heartbeats in the background, and leave.

        A connection that expired while the server was away joins again. Expired connections of the world are removed
        meanwhile, as by `sweeping`.
        """
        given = self._checked(player, story, session, ttl)
        key, unit = new_id(), self._services.unit
        unit.refuse_misplaced()
        joining = unit.write_idempotent(presence_writing.join, given[0], key, *given[1:])
        presence = await self._services.tasks.acquire(joining, self._leave)
        keeping = self._services.tasks.watch(self._keep(key, *given))
        self._enter()
        try:
            yield presence
        finally:
            self._exit()
            keeping.cancel()
            await asyncio.shield(self._services.tasks.finish(self._leave(presence)))

    @asynccontextmanager
    async def sweeping(self, *, every: timedelta = SWEEP_EVERY) -> AsyncIterator[None]:
        """Remove expired connections while the block runs, so that players of dead processes leave.

        Several processes may do it at once. A block of `connected` does it too.
        """
        check_duration("every", every, minimum=timedelta.resolution)
        self._services.unit.refuse_misplaced()
        async with running("presence", self.expire, every=every, metrics=self._services.metrics):
            yield

    def _checked(self, player: object, story: object, session: object, ttl: object) -> tuple[Stream, str, timedelta]:
        stream = self._streams.named(self._services.world_id, story, session)
        length = check_duration("ttl", ttl, minimum=MIN_TTL, maximum=MAX_TTL)
        return stream, check_label("player", player), length

    async def _leave(self, presence: Presence) -> None:
        with suppress(LivingWorldError):  # then it expires
            await self._services.background.write_idempotent(presence_writing.leave, presence.id)

    async def _keep(self, key: UUID, stream: Stream, player: str, ttl: timedelta) -> None:
        background: WorldDatabase = self._services.background
        while True:
            await asyncio.sleep(ttl.total_seconds() / _RENEWALS)
            with suppress(LivingWorldError):  # the server is away: the next heartbeat finds out whether it expired
                try:
                    await background.write_single_idempotent(presence_writing.renew, key)
                except PresenceNotFound:
                    await background.write_idempotent(presence_writing.join, stream, key, player, ttl)

    def _enter(self) -> None:
        self._blocks += 1
        if self._sweeper is None:
            self._sweeper = self._services.tasks.watch(self._sweep())

    def _exit(self) -> None:
        self._blocks -= 1
        if not self._blocks and self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    async def _sweep(self) -> None:
        async with self.sweeping():
            await asyncio.Event().wait()
