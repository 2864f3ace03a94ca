"""Following a story, a session or the world, and publishing to those who do."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Final
from uuid import UUID

from livingworld.inputs import check_integer
from livingworld.live.hub import LiveHub
from livingworld.live.polling import LivePolling
from livingworld.live.publishing import LivePublisher
from livingworld.live.streams import Streams
from livingworld.live.subscription import Subscription
from livingworld.postgres.services import Services

_MAX_NUMBER: Final = 2**63 - 1
#: Events that wait for a slow subscriber.
_BUFFER: Final = 1_000


class Live(LivePublisher):
    """What happens in one world, for its followers; writes publish by themselves, in their transactions."""

    def __init__(self, services: Services, polling: LivePolling, streams: Streams) -> None:
        super().__init__(services.unit, streams)
        self._hub = LiveHub(services, polling)

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
        SessionNotFound, WorldNotFound, LockTimeout; the iteration raises the first three when what is followed was
        removed, and Closed when the LivingWorld is closed.
        """
        stream = self._streams.named(self._unit.world_id, story, session)
        number = None if after is None else check_integer("after", after, maximum=_MAX_NUMBER)
        return self._hub.subscribe(stream, number, check_integer("buffer", buffer, minimum=1))
