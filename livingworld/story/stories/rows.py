"""Rows of stories, branches and scenes, the records that they become, and the columns of a whole scene."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, Row, ScalarSelect, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import JSON

from livingworld.frozen_records import unfrozen
from livingworld.identifiers import parse_id
from livingworld.read_only import read_only
from livingworld.story.characters.tables import characters
from livingworld.story.stories.new_scene import NewScene
from livingworld.story.stories.records import Branch, Choice, Scene, SceneCharacter, Story, TreeScene
from livingworld.story.stories.scene_tables import scene_cast, scenes
from livingworld.story.stories.tables import branches

#: A sub-select names the world itself: Citus does not follow that of the query around it.
WORLD_ID: Final[BindParameter[UUID]] = bindparam("world_id", type_=Uuid())


_UnfrozenStory: Final = unfrozen(Story)
_UnfrozenScene: Final = unfrozen(Scene)
_UnfrozenChoice: Final = unfrozen(Choice)


def _cast() -> ScalarSelect[Any]:
    """Return those who appear in a scene as a JSON array of arrays, in the order of their ids; NULL: nobody does.

    JSON as text: of jsonb PostgreSQL would make the text after building it, which takes a sixth longer.
    """
    columns = (
        scene_cast.c.character_id,
        _name_of(scene_cast).label("name"),
        scene_cast.c.role,
        scene_cast.c.importance,
    )
    member = (
        select(*columns)
        .where(
            scene_cast.c.world_id == WORLD_ID,
            scene_cast.c.story_id == scenes.c.story_id,
            scene_cast.c.scene_number == scenes.c.scene_number,
        )
        .order_by(scene_cast.c.character_id)
        .correlate(scenes)
        .subquery("member")
    )
    return select(func.json_agg(func.json_build_array(*member.c), type_=JSON)).correlate(scenes).scalar_subquery()


def _name_of(child: Any) -> ScalarSelect[Any]:  # noqa: ANN401
    """Return the name of the character of a row; looked up by its key, whatever the planner knows."""
    own = (characters.c.world_id == WORLD_ID, characters.c.character_id == child.c.character_id)
    return select(characters.c.name).where(*own).correlate(child).scalar_subquery()


#: What makes a Scene, beside columns of its story; the raw response may be long and is read alone. Parameter: world_id.
SCENE_COLUMNS: Final[tuple[ColumnElement[Any], ...]] = (
    scenes.c.scene_number,
    scenes.c.parent_scene_number,
    scenes.c.position,
    scenes.c.content,
    scenes.c.chosen_choice,
    scenes.c.location,
    scenes.c.story_time,
    scenes.c.metadata.label("scene_metadata"),
    scenes.c.version.label("scene_version"),
    scenes.c.created_at.label("scene_created_at"),
    scenes.c.updated_at.label("scene_updated_at"),
    scenes.c.choices,
    scenes.c.turn_key,
    _cast().label("cast_members"),
)
#: What makes a Branch, beside columns of its story.
BRANCH_COLUMNS: Final[tuple[ColumnElement[Any], ...]] = (
    branches.c.branch_number,
    branches.c.name,
    branches.c.head_scene_number,
    branches.c.head_position,
)


def make_story(row: Row[Any]) -> Story:
    """Return the record that a row of the table stories makes."""
    story = _UnfrozenStory(
        id=UUID(int=row.story_id.int),
        key=row.key,
        title=row.title,
        premise=row.premise,
        system_prompt=row.system_prompt,
        status=row.status,
        scene_count=row.last_scene_number,
        current_branch=row.current_branch,
        settings=read_only(row.settings),
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        last_scene_at=row.last_scene_at,
        archived_at=row.archived_at,
    )
    story.__class__ = Story
    return story


def make_branch(row: Row[Any]) -> Branch:
    """Return the record that BRANCH_COLUMNS make."""
    return Branch(number=row.branch_number, name=row.name, head=row.head_scene_number or 0, length=row.head_position)


def make_choices(contents: Iterable[str]) -> tuple[Choice, ...]:
    """Return what a scene offers, numbered from 1."""
    choices = [_UnfrozenChoice(number, content) for number, content in enumerate(contents, start=1)]
    for choice in choices:
        choice.__class__ = Choice
    return tuple(choices)


def make_scene(row: Row[Any], story_id: UUID) -> Scene:
    """Return the record that SCENE_COLUMNS make."""
    scene = _UnfrozenScene(
        story_id=story_id,
        number=row.scene_number,
        parent_number=row.parent_scene_number,
        position=row.position,
        content=row.content,
        choices=make_choices(row.choices),
        cast=tuple([_cast_member(*each) for each in row.cast_members or ()]),
        chosen_choice=row.chosen_choice,
        location=row.location,
        story_time=row.story_time,
        metadata=read_only(row.scene_metadata),
        turn=row.turn_key,
        version=row.scene_version,
        created_at=row.scene_created_at,
        updated_at=row.scene_updated_at,
    )
    return _frozen(scene)


def _frozen(scene: Scene) -> Scene:
    scene.__class__ = Scene
    return scene


def make_cast_members(stored: str | None) -> tuple[SceneCharacter, ...]:
    """Return the cast that append_scenes_v1 and commit_turns_v1 answer, in the order of ids."""
    members = [] if stored is None else [_cast_member(**each) for each in json.loads(stored)]
    return tuple(sorted(members, key=lambda member: member.id))


def _cast_member(character_id: str, name: str, role: str | None, importance: float | None) -> SceneCharacter:
    return SceneCharacter(parse_id(character_id), name, role, importance)


def make_stored_scene(  # noqa: PLR0913 - what the server adds to a new scene
    given: NewScene,
    story_id: UUID,
    cast: tuple[SceneCharacter, ...],
    *,
    number: int,
    parent_number: int | None,
    position: int,
    chosen_choice: int | None,
    created_at: datetime,
    turn: str | None = None,
) -> Scene:
    """Return the record of a scene that was just stored: what was given, and where it stands."""
    scene = _UnfrozenScene(
        story_id=story_id,
        number=number,
        parent_number=parent_number,
        position=position,
        content=given.content,
        choices=make_choices(given.choices),
        cast=cast,
        chosen_choice=chosen_choice,
        location=given.location,
        story_time=given.story_time,
        metadata=read_only(given.metadata),
        turn=turn,
        version=1,
        created_at=created_at,
        updated_at=created_at,
    )
    return _frozen(scene)


def make_tree_scene(row: Row[Any]) -> TreeScene:
    """Return the record that a row of `read_tree` makes."""
    return TreeScene(
        number=row.scene_number,
        parent_number=row.parent_scene_number,
        position=row.position,
        chosen_choice=row.chosen_choice,
        branches=tuple(row.branch_numbers or ()),
    )
