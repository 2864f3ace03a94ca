"""Reading stories: heads, scenes, slices of a branch's path, branches and the tree; one statement each.

Where it finds nothing, a second one finds out what is missing.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final
from uuid import UUID

from sqlalchemy import select

from livingworld.errors import BranchNotFound, SceneNotFound, StoryNotFound
from livingworld.inputs import MAX_INTEGER
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.stories.records import Branch, Scene, StoredScene, Story, StoryCharacter, StoryHead, TreeScene
from livingworld.story.stories.rows import make_branch, make_scene, make_story, make_tree_scene
from livingworld.story.stories.scene_query import select_head, select_path, select_scene, select_stored_scenes
from livingworld.story.stories.scene_tables import scenes
from livingworld.story.stories.tables import branches, in_story, stories

_TREE: Final = """
    SELECT s.scene_number, s.parent_scene_number, s.position, s.chosen_choice, heads.branch_numbers
    FROM livingworld.scenes s
    LEFT JOIN (
        SELECT b.head_scene_number, array_agg(b.branch_number ORDER BY b.branch_number) AS branch_numbers
        FROM livingworld.branches b
        WHERE b.world_id = $1 AND b.story_id = $2 GROUP BY b.head_scene_number
    ) heads ON heads.head_scene_number = s.scene_number
    WHERE s.world_id = $1 AND s.story_id = $2
    ORDER BY s.scene_number
"""
_CHARACTERS: Final = files(__package__).joinpath("sql/story_characters.sql").read_text()


async def find_story(tx: Transaction, key: str) -> Story | None:
    """Return the story of a key, or None."""
    row = (
        await tx.execute(select(stories).where(stories.c.world_id == tx.world_id, stories.c.key == key))
    ).one_or_none()
    return None if row is None else make_story(row)


async def read_head(tx: Transaction, story_id: UUID, branch_number: int | None) -> StoryHead:
    """Return where a branch of a story stands; raises StoryNotFound, BranchNotFound."""
    statement = select_head(of_named_branch=branch_number is not None)
    asked = statement.bind(world_id=tx.world_id, story_id=story_id, branch_number=branch_number)
    row = (await tx.execute_text(*asked)).one_or_none()
    if row is None:
        raise StoryNotFound(story_id=story_id)
    if row.branch_number is None:
        raise BranchNotFound(story_id=story_id, branch_number=branch_number)
    scene = None if row.scene_number is None else make_scene(row, story_id)
    return StoryHead(story=make_story(row), branch=make_branch(row), scene=scene)


async def read_scene(tx: Transaction, story_id: UUID, scene_number: int) -> Scene:
    """Return one scene; raises SceneNotFound, also when there is no such story."""
    asked = select_scene().bind(world_id=tx.world_id, story_id=story_id, scene_number=scene_number)
    row = (await tx.execute_text(*asked)).one_or_none()
    if row is None:
        raise SceneNotFound(story_id=story_id, scene_number=scene_number)
    return make_scene(row, story_id)


async def read_stored_scenes(tx: Transaction, story_id: UUID, after: int, limit: int) -> list[StoredScene]:
    """Return scenes of a story in the order of their numbers, with their raw responses."""
    key = {"world_id": tx.world_id, "story_id": story_id}
    rows = await tx.execute_text(*select_stored_scenes().bind(**key, after=after, length=limit))
    return [StoredScene(scene=make_scene(row, story_id), raw_response=row.raw_response) for row in rows]


async def read_story_characters(tx: Transaction, story_id: UUID, after: UUID, limit: int) -> list[StoryCharacter]:
    """Return who appears in a story, in the order of ids."""
    rows = await tx.execute_text(_CHARACTERS, (tx.world_id, story_id, after, limit))
    return [
        StoryCharacter(
            id=UUID(int=row.character_id.int), name=row.name, first_scene=row.first_scene, last_scene=row.last_scene
        )
        for row in rows
    ]


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
    asked = statement.bind(**key, after=beyond if after is None else after, length=limit)
    rows = (await tx.execute_text(*asked)).all()
    if not rows:
        await read_head(tx, story_id, branch_number)  # an empty slice, or no such story or branch
    return [make_scene(row, story_id) for row in rows]


async def read_raw_response(tx: Transaction, story_id: UUID, scene_number: int) -> str | None:
    """Return what the model answered for a scene, or None when it was not kept; raises SceneNotFound."""
    own = (*in_story(scenes, tx.world_id, story_id), scenes.c.scene_number == scene_number)
    row = (await tx.execute(select(scenes.c.raw_response).where(*own))).one_or_none()
    if row is None:
        raise SceneNotFound(story_id=story_id, scene_number=scene_number)
    answer: str | None = row.raw_response
    return answer


async def read_branches(tx: Transaction, story_id: UUID, after: int, limit: int) -> list[Branch]:
    """Return branches in the order of their numbers."""
    own = (*in_story(branches, tx.world_id, story_id), branches.c.branch_number > after)
    rows = await tx.execute(select(branches).where(*own).order_by(branches.c.branch_number).limit(limit))
    return [make_branch(row) for row in rows]


async def read_tree(tx: Transaction, story_id: UUID) -> tuple[TreeScene, ...]:
    """Return every scene of a story with its place in the tree."""
    rows = await tx.execute_text(_TREE, (tx.world_id, story_id))
    return tuple(map(make_tree_scene, rows))
