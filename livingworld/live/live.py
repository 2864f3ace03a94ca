"""Following a story, a session or the world: what is locked while a follow begins, and what says that it is gone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from livingworld.errors import InvalidInput, NotFound, SessionNotFound, StoryNotFound, WorldNotFound
from livingworld.inputs import check_integer, check_uuid
from livingworld.live.following import lock_world_writers
from livingworld.live.hub import LiveHub
from livingworld.live.polling import LivePolling
from livingworld.live.subscription import Subscription
from livingworld.live.tail import LockFree, LockOne, Stream
from livingworld.postgres.services import Services

_MAX_NUMBER: Final = 2**63 - 1
#: Events that wait for a slow subscriber.
_BUFFER: Final = 1_000


@dataclass(frozen=True, slots=True)
class WriterLocks:
    """How stories, or sessions, are locked against their writers."""

    one: LockOne
    free: LockFree


class Live:
    """What happens in one world, for its followers; writes publish by themselves, in their transactions."""

    def __init__(
        self, services: Services, polling: LivePolling, *, stories: WriterLocks, sessions: WriterLocks
    ) -> None:
        self._world_id = services.world_id
        self._stories = stories
        self._sessions = sessions
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
        if story is not None and session is not None:
            raise InvalidInput("session", "must not be given beside a story: one subscription follows one of them")
        number = None if after is None else check_integer("after", after, maximum=_MAX_NUMBER)
        size = check_integer("buffer", buffer, minimum=1)
        return self._hub.subscribe(self._stream(story, session), number, size)

    def _stream(self, story: UUID | None, session: UUID | None) -> Stream:
        if story is not None:
            key = check_uuid("story", story)
            return _stream(key, self._stories, partial(StoryNotFound, story_id=key))
        if session is not None:
            of = check_uuid("session", session)
            return _stream(of, self._sessions, partial(SessionNotFound, session_id=of))
        world_id = self._world_id
        return Stream(id=world_id, lock=lock_world_writers, gone=partial(WorldNotFound, world_id=world_id))


def _stream(key: UUID, locks: WriterLocks, gone: Callable[[], NotFound]) -> Stream:
    return Stream(id=key, lock=locks.one, lock_free=locks.free, gone=gone)
