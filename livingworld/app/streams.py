"""What has a stream of live events, for the room of live events, which knows none of it."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from livingworld.coordination.sessions.locking import find_session, lock_free_sessions, lock_session
from livingworld.errors import WorldNotFound
from livingworld.live.streams import StreamOwners, Streams
from livingworld.postgres.compiled_text import select_row
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.stories.locking import lock_free_stories, lock_story
from livingworld.story.stories.reading import read_head
from livingworld.story.worlds.tables import worlds


async def _find_world(tx: Transaction, world_id: UUID) -> None:
    if (await tx.execute_text(*select_row(worlds).bind(world_id=world_id))).one_or_none() is None:
        raise WorldNotFound(world_id=world_id)


async def _find_story(tx: Transaction, story_id: UUID) -> object:
    return await read_head(tx, story_id, None)


STREAMS: Final = Streams(
    find_world=_find_world,
    stories=StreamOwners(find=_find_story, lock=lock_story, lock_free=lock_free_stories),
    sessions=StreamOwners(find=find_session, lock=lock_session, lock_free=lock_free_sessions),
)
