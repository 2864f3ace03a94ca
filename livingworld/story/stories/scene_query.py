"""Statements that read scenes with their choices and cast, in one round trip."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final
from uuid import UUID

from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnElement,
    Integer,
    Uuid,
    and_,
    bindparam,
    func,
    literal_column,
    select,
    text,
    true,
    tuple_,
)
from sqlalchemy.sql.selectable import LateralFromClause

from livingworld.postgres.compiled_text import CompiledText
from livingworld.story.stories.rows import BRANCH_COLUMNS, SCENE_COLUMNS, WORLD_ID
from livingworld.story.stories.scene_tables import HAS_POSITION, scenes
from livingworld.story.stories.tables import branches, stories

_PATH_RANGES: Final = files(__package__).joinpath("sql/path_ranges_v1.sql").read_text().split("$function$")[1]

_WORLD_ID: Final = WORLD_ID
_STORY_ID: Final[BindParameter[UUID]] = bindparam("story_id", type_=Uuid())
_STORY: Final = (stories.c.world_id == _WORLD_ID, stories.c.story_id == _STORY_ID)
_IN_STORY: Final = (scenes.c.world_id == _WORLD_ID, scenes.c.story_id == _STORY_ID)


@cache
def select_scene() -> CompiledText:
    """Select one scene by its number. Parameters: world_id, story_id, scene_number."""
    number = bindparam("scene_number", type_=Integer)
    return CompiledText(select(*SCENE_COLUMNS).where(*_IN_STORY, scenes.c.scene_number == number))


@cache
def select_stored_scenes() -> CompiledText:
    """Select scenes of a story with their raw responses, in the order of numbers.

    Parameters: world_id, story_id, after (an exclusive number) and length.
    """
    after, length = bindparam("after", type_=Integer), bindparam("length", type_=Integer)
    found = select(*SCENE_COLUMNS, scenes.c.raw_response).where(*_IN_STORY, scenes.c.scene_number > after)
    return CompiledText(found.order_by(scenes.c.scene_number).limit(length))


@cache
def select_head(*, of_named_branch: bool) -> CompiledText:
    """Select a story, one of its branches (NULLs when there is none) and the scene at its head.

    Parameters: world_id, story_id, and branch_number when a branch is named.
    """
    at_head = _scenes_where(scenes.c.story_id == _STORY_ID, scenes.c.scene_number == branches.c.head_scene_number)
    branch = stories.outerjoin(branches, _branch_of_story(of_named_branch=of_named_branch))
    columns = (*stories.c, *BRANCH_COLUMNS, *at_head.c)
    return CompiledText(select(*columns).select_from(branch.outerjoin(at_head, true())).where(*_STORY))


@cache
def select_path(*, of_named_branch: bool, from_head: bool) -> CompiledText:
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
    # By itself: in an isolated database no index is gone down by what a function of another row gives.
    bounds = select(path.c.timeline_number, start.label("first"), end.label("last")).correlate(head, path)
    part = bounds.offset(literal_column("0")).lateral("part")
    in_range = _timeline_range(part.c.timeline_number, part.c.first, part.c.last)
    return CompiledText(
        select(*in_range.c)
        .select_from(head.join(path, true()).join(part, true()).join(in_range, true()))
        .order_by(in_range.c.position.desc() if from_head else in_range.c.position)
    )


def _scenes_where(*conditions: ColumnElement[bool]) -> LateralFromClause:
    """Return the scenes of the world that meet the conditions, looked up for each row of the other side.

    OFFSET 0 keeps the planner from joining: without statistics it takes any two ways for equally cheap, and one of
    them reads the whole story.
    """
    found = select(*SCENE_COLUMNS).where(scenes.c.world_id == _WORLD_ID, *conditions)
    return found.offset(literal_column("0")).lateral("scene")


def _timeline_range(
    timeline: ColumnElement[int], start: ColumnElement[int], end: ColumnElement[int]
) -> LateralFromClause:
    """Return the scenes of the story at these positions of a timeline, which has no gap.

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
            HAS_POSITION,
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
        "in_world_id": ":world_id",
        "in_story_id": head.c.story_id,
        "in_timeline": head.c.head_timeline,
        "in_position": head.c.head_position,
    }
    ranges = re.sub(r"\bin_\w+", lambda match: str(arguments[match.group()]), _PATH_RANGES)
    found = text(ranges).bindparams(_WORLD_ID)
    return found.columns(timeline_number=Integer, from_position=Integer, to_position=Integer).lateral("range")


def _head(*, of_named_branch: bool) -> CTE:
    """Return the place of the head; OFFSET 0 as in `_scenes_where`: one way to join reads every branch of the story."""
    own = select(branches).where(_branch_of_story(of_named_branch=of_named_branch)).correlate(stories)
    branch = own.offset(literal_column("0")).lateral("branch")
    place = (branch.c.story_id, branch.c.head_timeline, branch.c.head_position)
    return select(*place).select_from(stories.join(branch, true())).where(*_STORY).cte("head")


def _branch_of_story(*, of_named_branch: bool) -> ColumnElement[bool]:
    number = bindparam("branch_number", type_=Integer) if of_named_branch else stories.c.current_branch
    return and_(
        branches.c.world_id == _WORLD_ID,
        branches.c.story_id == stories.c.story_id,
        branches.c.branch_number == number,
    )
