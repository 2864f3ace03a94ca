"""Statements that read scenes: each brings its choices and cast along, so one round trip is enough."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Row,
    ScalarSelect,
    Select,
    Subquery,
    and_,
    cast,
    func,
    literal,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by

from livingworld.stories.records import CastMember, Choice, Scene
from livingworld.stories.scene_tables import choices, scene_cast, scenes
from livingworld.stories.tables import branches, stories, timeline_lineage, timelines

_EMPTY = cast(literal("[]"), JSONB)


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
SCENE_COLUMNS: tuple[ColumnElement[Any], ...] = (
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


def select_scene(world_id: UUID, story_id: UUID, scene_number: int) -> Select[Any]:
    """Select one scene by its number."""
    return select(*SCENE_COLUMNS).where(
        scenes.c.world_id == world_id, scenes.c.story_id == story_id, scenes.c.scene_number == scene_number
    )


def select_head(world_id: UUID, story_id: UUID, branch_number: int | None) -> Select[Any]:
    """Select a story, one of its branches (NULLs when there is none) and the scene at its head."""
    return (
        select(*stories.c, *branch_columns(), *SCENE_COLUMNS)
        .select_from(
            stories.outerjoin(branches, _branch_of_story(branch_number)).outerjoin(
                scenes,
                and_(
                    scenes.c.world_id == branches.c.world_id,
                    scenes.c.story_id == branches.c.story_id,
                    scenes.c.scene_number == branches.c.head_scene_number,
                ),
            )
        )
        .where(stories.c.world_id == world_id, stories.c.story_id == story_id)
    )


def branch_columns() -> tuple[ColumnElement[Any], ...]:
    """Return the columns that make a Branch."""
    return (
        branches.c.branch_number,
        branches.c.name.label("branch_name"),
        func.coalesce(branches.c.head_scene_number, 0).label("head"),
        branches.c.head_position,
    )


def select_path(
    world_id: UUID, story_id: UUID, branch_number: int | None, *, after: int | None, limit: int, newest_first: bool
) -> Select[Any]:
    """Select a slice of a branch's path by position; no row when the slice is empty.

    Positions on a path are 1..length without a gap, so a slice is a range of them and costs the same everywhere.
    """
    head = _head(world_id, story_id, branch_number)
    piece = _pieces(head)
    first: ColumnElement[int]
    last: ColumnElement[int]
    if newest_first:
        last = head.c.head_position if after is None else literal(after - 1)
        first = last - (limit - 1)
    else:
        first = literal((after or 0) + 1)
        last = first + (limit - 1)
    return (
        select(*SCENE_COLUMNS)
        .select_from(head)
        .join(piece, true())
        .join(
            scenes,
            and_(
                scenes.c.world_id == head.c.world_id,
                scenes.c.story_id == head.c.story_id,
                scenes.c.timeline_number == piece.c.timeline_number,
                scenes.c.position.between(
                    func.greatest(piece.c.from_position, first), func.least(piece.c.to_position, last)
                ),
            ),
        )
        .where(scenes.c.world_id == world_id, scenes.c.story_id == story_id)
        .order_by(scenes.c.position.desc() if newest_first else scenes.c.position)
    )


def _pieces(head: CTE) -> Subquery:
    """Return the ranges of timelines that make the path to a head: its own one, and its ancestors'."""
    own = select(
        head.c.head_timeline.label("timeline_number"),
        (head.c.fork_position + 1).label("from_position"),
        head.c.head_position.label("to_position"),
    )
    inherited = select(
        timeline_lineage.c.owner_timeline,
        timeline_lineage.c.from_position,
        func.least(timeline_lineage.c.to_position, head.c.head_position),
    ).join(
        head,
        and_(
            timeline_lineage.c.world_id == head.c.world_id,
            timeline_lineage.c.story_id == head.c.story_id,
            timeline_lineage.c.timeline_number == head.c.head_timeline,
        ),
    )
    return union_all(own, inherited).subquery("piece")


def _head(world_id: UUID, story_id: UUID, branch_number: int | None) -> CTE:
    columns = branches.c
    return (
        select(
            columns.world_id, columns.story_id, columns.head_timeline, columns.head_position, timelines.c.fork_position
        )
        .select_from(
            stories.join(branches, _branch_of_story(branch_number)).join(
                timelines,
                and_(
                    timelines.c.world_id == columns.world_id,
                    timelines.c.story_id == columns.story_id,
                    timelines.c.timeline_number == columns.head_timeline,
                ),
            )
        )
        .where(stories.c.world_id == world_id, stories.c.story_id == story_id)
        .cte("head")
    )


def _branch_of_story(branch_number: int | None) -> ColumnElement[bool]:
    number = stories.c.current_branch if branch_number is None else literal(branch_number)
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
