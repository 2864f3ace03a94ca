"""The path of a place: which scene stands at which of its positions."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import select

from livingworld.errors import SceneNotFound
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.stories.coordinates import START, Place
from livingworld.story.stories.scene_tables import HAS_POSITION, scenes
from livingworld.story.stories.tables import in_story

_OWNER: Final = """
    SELECT range.timeline_number FROM livingworld.path_ranges_v1($1, $2, $3, $4) AS range
    WHERE $5 BETWEEN range.from_position AND range.to_position
"""


async def place_of_scene(tx: Transaction, story_id: UUID, number: int) -> Place:
    """Return the place of a scene, 0 for the place before the first; raises SceneNotFound."""
    if number == 0:
        return START
    columns = (scenes.c.scene_number, scenes.c.timeline_number, scenes.c.position)
    statement = select(*columns).where(*in_story(scenes, tx.world_id, story_id), scenes.c.scene_number == number)
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        raise SceneNotFound(story_id=story_id, scene_number=number)
    return Place(row.scene_number, row.timeline_number, row.position)


async def is_on_path(tx: Transaction, story_id: UUID, place: Place, end: Place) -> bool:
    """Return whether the path to `end` leads through a place."""
    if place.position > end.position:
        return False
    return place.timeline == await _owner(tx, story_id, end, place.position)


async def place_on_path(tx: Transaction, story_id: UUID, end: Place, position: int) -> Place:
    """Return the place at a position of the path to `end`."""
    if position in {0, end.position}:
        return end if position else START
    owner = await _owner(tx, story_id, end, position)
    coordinate = (scenes.c.timeline_number == owner, scenes.c.position == position, HAS_POSITION)
    statement = select(scenes.c.scene_number).where(*in_story(scenes, tx.world_id, story_id), *coordinate)
    return Place(await tx.scalar(statement), owner, position)


async def _owner(tx: Transaction, story_id: UUID, end: Place, position: int) -> int:
    """Return the timeline that has the scene at a position of the path to `end`."""
    path = (tx.world_id, story_id, end.timeline, end.position)
    owner: int = (await tx.execute_text(_OWNER, (*path, position))).scalar_one()
    return owner
