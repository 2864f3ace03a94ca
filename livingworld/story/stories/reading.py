"""Reading stories: heads, scenes, and slices of a branch's path; each is one statement unless nothing is there."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row, select

from livingworld.errors import BranchNotFound, SceneNotFound, StoryNotFound
from livingworld.inputs import MAX_INTEGER
from livingworld.postgres.keyset import Page, newest_first, page_of
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.stories.records import Branch, Scene, Story, StoryHead
from livingworld.story.stories.scene_query import make_scene, select_head, select_path, select_scene
from livingworld.story.stories.scene_tables import scenes
from livingworld.story.stories.tables import stories


async def list_stories(tx: Transaction, after: str | None, limit: int, *, include_archived: bool) -> Page[Story]:
    """Return a page of stories, newest first."""
    statement = select(stories).where(stories.c.world_id == tx.world_id)
    if not include_archived:
        statement = statement.where(stories.c.archived_at.is_(None))
    statement = newest_first(statement, stories.c.created_at, stories.c.story_id, after=after, limit=limit)
    return page_of((await tx.execute(statement)).all(), limit, make_story, "story_id")


async def read_head(tx: Transaction, story_id: UUID, branch_number: int | None) -> StoryHead:
    """Return where a branch of a story stands; raises StoryNotFound, BranchNotFound."""
    key = {"world_id": tx.world_id, "story_id": story_id, "branch_number": branch_number}
    row = (await tx.execute(select_head(of_named_branch=branch_number is not None), key)).one_or_none()
    if row is None:
        raise StoryNotFound(story_id=story_id)
    if row.branch_number is None:
        raise BranchNotFound(story_id=story_id, branch_number=branch_number)
    branch = Branch(number=row.branch_number, name=row.branch_name, head=row.head, length=row.head_position)
    scene = None if row.scene_number is None else make_scene(row, story_id)
    return StoryHead(story=make_story(row), branch=branch, scene=scene)


async def read_scene(tx: Transaction, story_id: UUID, scene_number: int) -> Scene:
    """Return one scene; raises SceneNotFound, also when there is no such story."""
    key = {"world_id": tx.world_id, "story_id": story_id, "scene_number": scene_number}
    row = (await tx.execute(select_scene(), key)).one_or_none()
    if row is None:
        raise SceneNotFound(story_id=story_id, scene_number=scene_number)
    return make_scene(row, story_id)


async def read_path(
    tx: Transaction,
    story_id: UUID,
    branch_number: int | None,
    after: int | None,
    limit: int,
    *,
    newest_first: bool,
) -> list[Scene]:
    """Return a slice of a branch's path; raises StoryNotFound, BranchNotFound."""
    statement = select_path(of_named_branch=branch_number is not None, from_head=newest_first)
    key = {"world_id": tx.world_id, "story_id": story_id, "branch_number": branch_number}
    beyond = MAX_INTEGER if newest_first else 0
    slice_ = {"after": beyond if after is None else after, "length": limit}
    rows = (await tx.execute(statement, key | slice_)).all()
    if not rows:
        await read_head(tx, story_id, branch_number)  # tells an empty slice from a missing story
    return [make_scene(row, story_id) for row in rows]


async def read_raw_response(tx: Transaction, story_id: UUID, scene_number: int) -> str | None:
    """Return what the model answered for a scene, or None when it was not kept; raises SceneNotFound."""
    statement = select(scenes.c.raw_response).where(
        scenes.c.world_id == tx.world_id, scenes.c.story_id == story_id, scenes.c.scene_number == scene_number
    )
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        raise SceneNotFound(story_id=story_id, scene_number=scene_number)
    answer: str | None = row.raw_response
    return answer


def make_story(row: Row[Any]) -> Story:
    """Return the record that a row of the table stories makes."""
    return Story(
        id=UUID(int=row.story_id.int),
        title=row.title,
        premise=row.premise,
        system_prompt=row.system_prompt,
        status=row.status,
        scene_count=row.last_scene_number,
        current_branch=row.current_branch,
        settings=row.settings,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        archived_at=row.archived_at,
    )
