"""Writing stories: made, edited with the old text kept, archived, purged. Every function locks the story row first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from livingworld.errors import StoryNotFound, VersionConflict
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit, remove_streams
from livingworld.postgres.idempotency import CreateRequest, create_once, request_keys
from livingworld.postgres.own_keys import insert_with_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.revisions import keep_revision, revisions
from livingworld.story.stories.locking import (
    WRITTEN_NOW,
    lock_open_story,
    lock_story,
    moved_in_list,
    remove_from_list,
)
from livingworld.story.stories.reading import find_story
from livingworld.story.stories.records import Story
from livingworld.story.stories.rows import make_story
from livingworld.story.stories.scene_tables import scene_cast, scenes
from livingworld.story.stories.tables import FIRST_TIMELINE, branches, in_story, stories, story_activity, timelines
from livingworld.story.stories.word_tables import scene_words, unindexed_scenes

#: Locks what the removal of a story touches beside its own rows.
LockDependents = Callable[[Transaction], Awaitable[None]]
MAIN_BRANCH = {"branch_number": 1, "name": "main"}


async def create_story(
    tx: Transaction, story_id: UUID, values: Mapping[str, Any], request: CreateRequest | None
) -> Story:
    """Store a story with its first timeline and the branch `main`, once; raises WorldNotFound, RequestKeyReused."""
    create = partial(_insert, tx, story_id, values)
    return await create_once(tx, request, create, partial(_read_stored, tx), lambda story: str(story.id))


async def create_story_of_key(
    tx: Transaction, key: str, story_id: UUID, values: Mapping[str, Any]
) -> tuple[Story, bool] | None:
    """Store a story under a key, or return the one that has it; None when that was purged meanwhile."""
    row = await insert_with_key(tx, LockKind.STORY, stories, {"story_id": story_id, "key": key, **values})
    if row is not None:
        return await _begin(tx, row), True
    found = await find_story(tx, key)
    return None if found is None else (found, found.id.int == story_id.int)


async def _insert(tx: Transaction, story_id: UUID, values: Mapping[str, Any]) -> Story:
    """Insert; the id is new, so a row that is there is this one, stored by a try whose answer was lost."""
    key = {"world_id": tx.world_id, "story_id": story_id}
    statement = upsert(stories).values(**key, **values).on_conflict_do_nothing(index_elements=list(key))
    row = (await tx.execute(statement.returning(stories))).one_or_none()
    return await _read(tx, story_id) if row is None else await _begin(tx, row)


async def _read_stored(tx: Transaction, story_id: str) -> Story:
    return await _read(tx, UUID(story_id))


async def _read(tx: Transaction, story_id: UUID) -> Story:
    row = (await tx.execute(select(stories).where(*in_story(stories, tx.world_id, story_id)))).one_or_none()
    if row is None:
        raise StoryNotFound(story_id=story_id)
    return make_story(row)


async def _begin(tx: Transaction, row: Row[Any]) -> Story:
    """Give a new story its first timeline and its branch, and publish it."""
    story_id = UUID(int=row.story_id.int)
    key = {"world_id": tx.world_id, "story_id": story_id}
    timeline = insert(timelines).values(**key, timeline_number=FIRST_TIMELINE)
    place = {"status": row.status, "archived": False, "last_scene_at": row.created_at}
    listed = insert(story_activity).values(**key, **place).returning(story_activity.c.story_id)
    await tx.execute(timeline.add_cte(listed.cte("listed")))
    await tx.execute(insert(branches).values(**key, **MAIN_BRANCH))
    publish_at_commit(tx, tx.world_id, LiveKind.STORY_CREATED, story_id=story_id)
    return make_story(row)


async def update_story(tx: Transaction, story_id: UUID, expected_version: int, changes: Mapping[str, Any]) -> Story:
    """Change fields of a story and keep their old values; raises StoryNotFound, VersionConflict, Archived."""
    old = await lock_open_story(tx, story_id)
    if old.version != expected_version:
        raise VersionConflict(expected=expected_version, actual=old.version)
    content = {name: getattr(old, name) for name in ("title", "premise", "system_prompt", "status", "settings")}
    await keep_revision(tx, "story", story_id, version=old.version, content=content)
    return await _change(tx, old, **changes)


async def set_archived(tx: Transaction, story_id: UUID, *, archived: bool) -> Story:
    """Archive or restore a story; doing it again changes nothing. Raises StoryNotFound."""
    old = await lock_story(tx, story_id)
    if (old.archived_at is not None) == archived:
        return make_story(old)
    return await _change(tx, old, archived_at=func.now() if archived else None)


async def purge_story(tx: Transaction, story_id: UUID, lock_dependents: LockDependents) -> None:
    """Remove a story and everything in it for ever; locks it and its dependents. Raises StoryNotFound."""
    await lock_story(tx, story_id)
    await lock_dependents(tx)
    await tx.execute(delete(revisions).where(revisions.c.world_id == tx.world_id, revisions.c.entity_id == story_id))
    await tx.execute(
        delete(request_keys).where(request_keys.c.world_id == tx.world_id, request_keys.c.scope_id == story_id)
    )
    await remove_from_list(tx, story_id)
    for table in (branches, unindexed_scenes, scene_words, scene_cast, scenes, timelines, stories):
        await tx.execute(delete(table).where(*in_story(table, tx.world_id, story_id)))
    await remove_streams(tx, [story_id])
    publish_at_commit(tx, tx.world_id, LiveKind.STORY_PURGED, story_id=story_id)


async def _change(tx: Transaction, old: Row[Any], **changes: Any) -> Story:  # noqa: ANN401 - column values
    statement = (
        update(stories)
        .where(*in_story(stories, old.world_id, old.story_id))
        .values(**changes, version=stories.c.version + 1, updated_at=WRITTEN_NOW)
        .returning(stories)
    )
    shelf = {"status": changes["status"]} if "status" in changes else {}
    if "archived_at" in changes:
        shelf["archived"] = changes["archived_at"] is not None
    if shelf:
        statement = statement.add_cte(moved_in_list(old.world_id, old.story_id, **shelf))
    story = make_story((await tx.execute(statement)).one())
    publish_at_commit(tx, old.story_id, LiveKind.STORY_CHANGED, version=story.version)
    return story
