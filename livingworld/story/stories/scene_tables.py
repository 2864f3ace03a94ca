"""Tables of scenes and their cast."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Column,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from livingworld.postgres.metadata import SCHEMA, metadata, time_columns, version_column, world_id_column
from livingworld.story.stories.tables import STORY_KEY, number_column, story_id_column

SCENE_KEY = (*STORY_KEY, "scene_number")


def to_scene() -> ForeignKeyConstraint:
    """Return the foreign key to the scene; its rows are removed with the scene."""
    return ForeignKeyConstraint(SCENE_KEY, [f"{SCHEMA}.scenes.{name}" for name in SCENE_KEY], ondelete="CASCADE")


scenes = Table(
    "scenes",
    metadata,
    world_id_column(),
    story_id_column(),
    #: With the columns before it the primary key: no two scenes of a story have one number.
    number_column("scene_number"),
    Column("parent_scene_number", Integer),
    Column("timeline_number", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("content", Text, nullable=False),
    #: What it offers; a choice is named by its place, from 1. An edit keeps those that a scene was reached by.
    Column("choices", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    #: The choice of the parent that led here; append_scenes_v1 looks for it under the lock of the story.
    Column("chosen_choice", Integer),
    Column("location", Text),
    Column("story_time", Text),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'")),
    Column("raw_response", Text),
    #: Request key of the turn that wrote its text; NULL: no turn did.
    Column("turn_key", Text),
    version_column(),
    *time_columns(),
    # No foreign key to its timeline or parent: append_scenes_v1 reads both under the lock of the story, which a purge
    # of the story waits for, and no scene or timeline is removed alone.
    CheckConstraint("scene_number >= 1 AND position >= 1", name="numbers_positive"),
    CheckConstraint("parent_scene_number < scene_number", name="parent_is_older"),
    CheckConstraint("(parent_scene_number IS NULL) = (position = 1)", name="first_has_no_parent"),
    CheckConstraint(
        "chosen_choice IS NULL OR (chosen_choice >= 1 AND parent_scene_number IS NOT NULL)", name="choice_has_parent"
    ),
    CheckConstraint("version > 0", name="version_positive"),
)
#: True of every scene. Only a statement that says so can use the index of coordinates, see below.
HAS_POSITION: Final = scenes.c.position > literal_column("0")
# One scene at each coordinate; the path of a branch is read along it. The story stands third and the index is partial
# on purpose: indexes that begin alike cost the same to a planner without statistics, which would read a story, or
# with a plan made while the table was empty the whole world, for one scene.
Index(
    "uq_scenes_coordinate",
    scenes.c.world_id,
    scenes.c.timeline_number,
    scenes.c.story_id,
    scenes.c.position,
    unique=True,
    postgresql_where=HAS_POSITION,
)
# The children of a scene. Partial for the same reason: it serves only queries by parent.
Index(
    "ix_scenes_parent",
    scenes.c.world_id,
    scenes.c.story_id,
    scenes.c.parent_scene_number,
    postgresql_where=scenes.c.parent_scene_number.is_not(None),
)

scene_cast = Table(
    "scene_cast",
    metadata,
    world_id_column(),
    story_id_column(),
    number_column("scene_number"),
    Column("character_id", Uuid(), primary_key=True),
    Column("role", Text),
    Column("importance", Float(53)),
    to_scene(),
    ForeignKeyConstraint(
        ["world_id", "character_id"],
        [f"{SCHEMA}.characters.{name}" for name in ("world_id", "character_id")],
        ondelete="CASCADE",
    ),
    CheckConstraint("importance BETWEEN 0 AND 1", name="importance_is_share"),
)
Index("ix_scene_cast_character", scene_cast.c.world_id, scene_cast.c.character_id)
# Who appears in a story, and in which scenes. Partial on what is true of every row: it serves only who asks for it.
Index(
    "ix_scene_cast_story",
    scene_cast.c.world_id,
    scene_cast.c.story_id,
    scene_cast.c.character_id,
    scene_cast.c.scene_number,
    postgresql_where=scene_cast.c.scene_number > 0,
)
