"""The lock of a story, which every write in it takes, and a branch as it is under that lock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Row, case, delete, func, select, update

from livingworld.errors import Archived, BranchNotFound, StaleHead, StoryNotFound
from livingworld.postgres.locks import lock_free_rows, lock_row
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.stories.tables import branches, in_story, stories, story_activity

#: The value of `stories.updated_at`, set by a statement after the lock, so that no write moves it back.
WRITTEN_NOW: Final = func.statement_timestamp()


async def lock_story(tx: Transaction, story_id: UUID) -> Row[Any]:
    """Lock a story against other writers until the transaction ends; raises StoryNotFound."""
    row = await lock_row(tx, LockKind.STORY, stories, {"world_id": tx.world_id, "story_id": story_id})
    if row is None:
        raise StoryNotFound(story_id=story_id)
    return row


async def lock_free_stories(tx: Transaction, story_ids: Sequence[UUID]) -> list[UUID]:
    """Lock those of these stories that exist and that nobody holds, and return their ids; waits for nobody."""
    return await lock_free_rows(tx, LockKind.STORY, stories.c.story_id, story_ids)


async def lock_open_story(tx: Transaction, story_id: UUID) -> Row[Any]:
    """Lock a story that takes writes; also raises Archived."""
    row = await lock_story(tx, story_id)
    if row.archived_at is not None:
        raise Archived(story_id=story_id)
    return row


async def branch_of(tx: Transaction, story: Row[Any], number: int | None, expected_head: int | None = None) -> Row[Any]:
    """Return a branch of a locked story (default: its current one); raises BranchNotFound, StaleHead."""
    story_id = UUID(int=story.story_id.int)
    chosen = story.current_branch if number is None else number
    own = (*in_story(branches, tx.world_id, story_id), branches.c.branch_number == chosen)
    row = (await tx.execute(select(branches).where(*own))).one_or_none()
    if row is None:
        raise BranchNotFound(story_id=story_id, branch_number=chosen)
    head = row.head_scene_number or 0
    if expected_head is not None and expected_head != head:
        raise StaleHead(expected=expected_head, actual=head)
    return row


#: What a write of a story's scenes or branches sets in its row.
PLAYED_NOW: Final = {"updated_at": WRITTEN_NOW, "last_scene_at": WRITTEN_NOW}


def touched(world_id: UUID, story_id: UUID) -> CTE:
    """Return the CTE that notes that a locked story is played, for the statement of another write."""
    moved = update(stories).where(*in_story(stories, world_id, story_id)).values(**PLAYED_NOW)
    moved = moved.add_cte(moved_in_list(world_id, story_id, last_scene_at=WRITTEN_NOW))
    return moved.returning(stories.c.story_id).cte("touched")


def moved_in_list(world_id: UUID, story_id: UUID, **values: Any) -> CTE:  # noqa: ANN401 - column values
    """Return the CTE that changes where a locked story stands in the list by when it was last played.

    It reads the story as it was before the statement, by which the row of the list is found.
    """
    moved = update(story_activity).where(*_place_in_list(world_id, story_id)).values(**values)
    return moved.returning(story_activity.c.story_id).cte("moved_in_list")


def _place_in_list(world_id: UUID, story_id: UUID) -> tuple[ColumnElement[bool], ...]:
    own, row = story_activity.c, stories.c
    # Not coalesce, by which PostgreSQL goes down no index in a database that shows one world only.
    played = case((row.last_scene_at.is_(None), row.created_at), else_=row.last_scene_at)
    return (
        *in_story(stories, world_id, story_id),
        own.world_id == world_id,
        own.status == row.status,
        own.archived == row.archived_at.is_not(None),
        own.last_scene_at == played,
        own.story_id == story_id,
    )


async def remove_from_list(tx: Transaction, story_id: UUID) -> None:
    """Take a locked story out of the list by when it was last played."""
    await tx.execute(delete(story_activity).where(*_place_in_list(tx.world_id, story_id)))
