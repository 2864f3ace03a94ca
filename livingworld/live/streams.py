"""The streams of one world: those of its stories and sessions, and its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from livingworld.errors import InvalidInput, NotFound, SessionNotFound, StoryNotFound, WorldNotFound
from livingworld.inputs import check_uuid
from livingworld.postgres.transactions.transaction import Transaction

#: Reads what has this id, one statement; raises that it does not exist.
Find = Callable[[Transaction, UUID], Awaitable[object]]
#: Locks what has this id against its writers, until the transaction ends; raises that it does not exist.
LockOne = Callable[[Transaction, UUID], Awaitable[object]]
#: Locks those of these ids that no other transaction holds, until the transaction ends, and returns them; never waits.
LockFree = Callable[[Transaction, Sequence[UUID]], Awaitable[Sequence[UUID]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOwners:
    """How stories, or sessions, are found, and how they are locked against their writers."""

    find: Find
    lock: LockOne
    lock_free: LockFree


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What can be followed."""

    id: UUID
    find: Find
    #: None: the world, whose writers share no row; `lock_publishers` alone keeps them out.
    owners: StreamOwners | None = None
    #: Returns the error that says that it does not exist.
    gone: Callable[[], NotFound]


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """Finds the stream that a call names."""

    find_world: Find
    stories: StreamOwners
    sessions: StreamOwners

    def named(self, world_id: UUID, story: object, session: object) -> Stream:
        """Return the stream of a story or of a session, or the world's own where neither is given."""
        if story is not None and session is not None:
            raise InvalidInput("session", "must not be given beside a story: a stream belongs to one of them")
        if story is not None:
            key = check_uuid("story", story)
            return _owned(key, self.stories, partial(StoryNotFound, story_id=key))
        if session is not None:
            key = check_uuid("session", session)
            return _owned(key, self.sessions, partial(SessionNotFound, session_id=key))
        return Stream(id=world_id, find=self.find_world, gone=partial(WorldNotFound, world_id=world_id))


def _owned(key: UUID, owners: StreamOwners, gone: Callable[[], NotFound]) -> Stream:
    return Stream(id=key, find=owners.find, owners=owners, gone=gone)
