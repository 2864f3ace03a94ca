"""Statements that read scenes: each brings its choices and cast along, so one round trip is enough.

They are made once and take parameters: building one costs more than running it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnElement,
    Integer,
    Row,
    ScalarSelect,
    Select,
    Uuid,
    and_,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    select,
    text,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.sql.selectable import LateralFromClause

from livingworld.story.stories.records import CastMember, Choice, Scene
from livingworld.story.stories.scene_tables import choices, scene_cast, scenes
from livingworld.story.stories.tables import branches, stories

_PATH_RANGES: Final = files(__package__).joinpath("sql/path_ranges_v1.sql").read_text().split("$function$")[1]
_EMPTY = cast(literal("[]"), JSONB)

_WORLD_ID: Final[BindParameter[UUID]] = bindparam("world_id", type_=Uuid())
_STORY_ID: Final[BindParameter[UUID]] = bindparam("story_id", type_=Uuid())
_STORY: Final = (stories.c.world_id == _WORLD_ID, stories.c.story_id == _STORY_ID)
_IN_STORY: Final = (scenes.c.world_id == _WORLD_ID, scenes.c.story_id == _STORY_ID)


def _gathered(child: Any, order: ColumnElement[Any], *columns: ColumnElement[Any]) -> ScalarSelect[Any]:  # noqa: ANN401
    """Return the rows of `child` that belong to a scene as one JSON array."""
    items = func.jsonb_agg(aggregate_order_by(func.jsonb_build_array(*columns), order))
    return (
        select(func.coalesce(items, _EMPTY))
        .where(
            child.c.world_id == scenes.c.world_id,
            child.c.story_id == scenes.c.story_id,
            child.c.scene_number == scenes.c.scene_number,
        )
        .correlate(scenes)
        .scalar_subquery()
    )


#: A scene without its raw response, which may be long and is read alone.
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
    _gathered(choices, choices.c.choice_number, choices.c.choice_number, choices.c.content).label("choices"),
    _gathered(
        scene_cast, scene_cast.c.character_id, scene_cast.c.character_id, scene_cast.c.role, scene_cast.c.importance
    ).label("cast_members"),
)


#: What makes a Branch.
_BRANCH_COLUMNS: Final[tuple[ColumnElement[Any], ...]] = (
    branches.c.branch_number,
    branches.c.name.label("branch_name"),
    func.coalesce(branches.c.head_scene_number, 0).label("head"),
    branches.c.head_position,
)


@cache
def select_scene() -> Select[Any]:
    """Select one scene by its number. Parameters: world_id, story_id, scene_number."""
    return select(*SCENE_COLUMNS).where(*_IN_STORY, scenes.c.scene_number == bindparam("scene_number", type_=Integer))


@cache
def select_head(*, of_named_branch: bool) -> Select[Any]:
    """Select a story, one of its branches (NULLs when there is none) and the scene at its head.

    Parameters: world_id, story_id, and branch_number when a branch is named.
    """
    at_head = _looked_up(scenes.c.story_id == _STORY_ID, scenes.c.scene_number == branches.c.head_scene_number)
    branch = stories.outerjoin(branches, _branch_of_story(of_named_branch=of_named_branch))
    return (
        select(*stories.c, *_BRANCH_COLUMNS, *at_head.c).select_from(branch.outerjoin(at_head, true())).where(*_STORY)
    )


@cache
def select_path(*, of_named_branch: bool, from_head: bool) -> Select[Any]:
    """Select a slice of a branch's path, from its head back or from its start on; no row when the slice is empty.

    Positions on a path are 1..length without a gap, so a slice is a range of them and costs the same everywhere.
    Parameters: those of `select_head`, after (an exclusive position) and length.
    """
    head = _head(of_named_branch=of_named_branch)
    path = _path_ranges(head)
    length = bindparam("length", type_=Integer)
    after = bindparam("after", type_=Integer)
    first: ColumnElement[int]
    last: ColumnElement[int]
    if from_head:
        last = func.least(head.c.head_position, after - 1)
        first = last - length + 1
    else:
        first, last = after + 1, after + length
    start, end = func.greatest(path.c.from_position, first), func.least(path.c.to_position, last)
    in_range = _stretch(path.c.timeline_number, start, end)
    return (
        select(*in_range.c)
        .select_from(head.join(path, true()).join(in_range, true()))
        .order_by(in_range.c.position.desc() if from_head else in_range.c.position)
    )


def _looked_up(*conditions: ColumnElement[bool]) -> LateralFromClause:
    """Return the scenes of the world that meet the conditions, found for each row beside them.

    OFFSET 0 keeps the planner from joining: without statistics it takes any two ways for equally cheap, and one of
    them reads the whole story.
    """
    found = select(*SCENE_COLUMNS).where(scenes.c.world_id == _WORLD_ID, *conditions)
    return found.offset(literal_column("0")).lateral("scene")


def _stretch(timeline: ColumnElement[int], start: ColumnElement[int], end: ColumnElement[int]) -> LateralFromClause:
    """Return the scenes of the story at these positions of a timeline, which stand there without a gap.

    Comparing rows names the one index that begins with a timeline, see the decision on indexes, and the place in it
    where the scan begins. Before PostgreSQL 18 it does not end the scan: the number of scenes does.
    """
    coordinate = (scenes.c.timeline_number, scenes.c.story_id, scenes.c.position)
    return (
        select(*SCENE_COLUMNS)
        .where(
            scenes.c.world_id == _WORLD_ID,
            tuple_(*coordinate) >= tuple_(timeline, _STORY_ID, start),
            tuple_(*coordinate) <= tuple_(timeline, _STORY_ID, end),
        )
        .order_by(*coordinate)
        .limit(func.greatest(end - start + 1, literal_column("0")))
        .lateral("scene")
    )


def _path_ranges(head: CTE) -> LateralFromClause:
    """Return the ranges of the path to a head: the text of path_ranges_v1.

    Not a call of it: Citus sends this statement to a shard, where what is called must not read a table.
    """
    arguments = {
        "in_world_id": head.c.world_id,
        "in_story_id": head.c.story_id,
        "in_timeline": head.c.head_timeline,
        "in_position": head.c.head_position,
    }
    ranges = re.sub(r"\bin_\w+", lambda match: str(arguments[match.group()]), _PATH_RANGES)
    return text(ranges).columns(timeline_number=Integer, from_position=Integer, to_position=Integer).lateral("range")


def _head(*, of_named_branch: bool) -> CTE:
    place = (branches.c.world_id, branches.c.story_id, branches.c.head_timeline, branches.c.head_position)
    branch = stories.join(branches, _branch_of_story(of_named_branch=of_named_branch))
    return select(*place).select_from(branch).where(*_STORY).cte("head")


def _branch_of_story(*, of_named_branch: bool) -> ColumnElement[bool]:
    number = bindparam("branch_number", type_=Integer) if of_named_branch else stories.c.current_branch
    return and_(
        branches.c.world_id == stories.c.world_id,
        branches.c.story_id == stories.c.story_id,
        branches.c.branch_number == number,
    )


def make_scene(row: Row[Any], story_id: UUID) -> Scene:
    """Return the record that a row of SCENE_COLUMNS makes."""
    return Scene(
        story_id=story_id,
        number=row.scene_number,
        parent_number=row.parent_scene_number,
        position=row.position,
        content=row.content,
        choices=tuple(Choice(number, content) for number, content in row.choices),
        cast=tuple(CastMember(UUID(character), role, share) for character, role, share in row.cast_members),
        chosen_choice=row.chosen_choice,
        location=row.location,
        story_time=row.story_time,
        metadata=row.scene_metadata,
        version=row.scene_version,
        created_at=row.scene_created_at,
        updated_at=row.scene_updated_at,
    )
