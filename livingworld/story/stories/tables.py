"""Tables of stories, branches and timelines."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import (
    DDL,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    event,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from livingworld.inputs import MAX_LABEL_CHARACTERS
from livingworld.postgres.metadata import (
    SCHEMA,
    key_columns,
    metadata,
    time_columns,
    unique_key,
    version_column,
    world_id_column,
)

STORY_KEY = ("world_id", "story_id")
#: Number of the timeline that every story begins with.
FIRST_TIMELINE = 1


def story_id_column() -> Column[object]:
    """Return the second column of every key inside a story."""
    return Column("story_id", Uuid(), primary_key=True)


def number_column(name: str) -> Column[int]:
    """Return a key column that counts from 1 inside its story."""
    return Column(name, Integer, primary_key=True, autoincrement=False)


def to_story() -> ForeignKeyConstraint:
    """Return the foreign key to the story; its rows are removed with the story."""
    return ForeignKeyConstraint(STORY_KEY, [f"{SCHEMA}.stories.{name}" for name in STORY_KEY], ondelete="CASCADE")


def in_story(table: Table, world_id: UUID, story_id: UUID) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of the rows of a table that belong to a story."""
    return (table.c.world_id == world_id, table.c.story_id == story_id)


stories = Table(
    "stories",
    metadata,
    world_id_column(),
    story_id_column(),
    *key_columns(),
    Column("title", Text, nullable=False),
    Column("premise", Text, nullable=False, server_default=text("''")),
    Column("system_prompt", Text, nullable=False, server_default=text("''")),
    Column("status", Text, nullable=False, server_default=text("'active'")),
    #: Counters: incremented under the lock of this row, by the statement that uses the number.
    Column("last_scene_number", Integer, nullable=False, server_default=text("0")),
    Column("last_timeline_number", Integer, nullable=False, server_default=text("1")),
    Column("last_branch_number", Integer, nullable=False, server_default=text("1")),
    Column("current_branch", Integer, nullable=False, server_default=text("1")),
    Column("settings", JSONB, nullable=False, server_default=text("'{}'")),
    version_column(),
    *time_columns(),
    #: When it was last played; NULL: never. See story_activity, which has it too.
    Column("last_scene_at", DateTime(timezone=True)),
    Column("archived_at", DateTime(timezone=True)),
    ForeignKeyConstraint(["world_id"], [f"{SCHEMA}.worlds.world_id"], ondelete="CASCADE"),
    CheckConstraint(f"char_length(title) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="title_length"),
    CheckConstraint("status IN ('active', 'paused', 'completed')", name="status_known"),
    CheckConstraint("last_scene_number >= 0", name="last_scene_number_natural"),
    CheckConstraint("last_timeline_number >= 1", name="last_timeline_number_positive"),
    CheckConstraint("current_branch BETWEEN 1 AND last_branch_number", name="current_branch_known"),
    CheckConstraint("version > 0", name="version_positive"),
)
unique_key(stories)
# What a list shows stands together: the stories of one status, archived or not. The indexes of the lists are partial on
# what is true of every story, so that no other statement can use them: a planner without statistics takes them for as
# good as the key, and reads every story of the world for a few.
_SHELF: Final = (stories.c.world_id, stories.c.status, stories.c.archived_at.is_not(None))
for _name, _order in (("created_at", stories.c.created_at), ("title", stories.c.title)):
    Index(
        f"ix_stories_{_name}",
        *_SHELF,
        _order,
        stories.c.story_id,
        postgresql_where=text("created_at > '-infinity'"),
    )
Index(
    "ix_stories_words",
    # Of columns, and not of a text: an index that names no column is of no table, and nobody makes it.
    func.to_tsvector(text("'simple'"), stories.c.title.op("||")(text("' '::text")).op("||")(stories.c.premise)),
    postgresql_using="gin",
)

# The list by when a story was last played. It moves with every scene, so it has a row and an index of its own: an index
# of the table stories would make each append write to all of them. No foreign key: whoever writes it holds the story.
story_activity = Table(
    "story_activity",
    metadata,
    world_id_column(),
    Column("status", Text, primary_key=True),
    Column("archived", Boolean, primary_key=True),
    #: That of the story; while it was never played, when it was created.
    Column("last_scene_at", DateTime(timezone=True), primary_key=True),
    story_id_column(),
)
# The first page reads past the dead entries of what moved since the last vacuum.
_OFTEN: Final = DDL("ALTER TABLE %(fullname)s SET (autovacuum_vacuum_scale_factor = 0.02)")  # type: ignore[no-untyped-call]
event.listen(story_activity, "after_create", _OFTEN)

branches = Table(
    "branches",
    metadata,
    world_id_column(),
    story_id_column(),
    number_column("branch_number"),
    Column("name", Text, nullable=False),
    #: The compare-and-set cell. NULL and position 0: before the first scene.
    Column("head_scene_number", Integer),
    Column("head_timeline", Integer, nullable=False, server_default=text("1")),
    Column("head_position", Integer, nullable=False, server_default=text("0")),
    #: The place that redo leads to; valid while `version` is `redo_version`.
    Column("redo_scene_number", Integer),
    Column("redo_timeline", Integer),
    Column("redo_position", Integer),
    Column("redo_version", Integer),
    #: Incremented by every move of the head.
    version_column(),
    *time_columns(),
    # No foreign key to the head: what moves it has read that scene under the lock of the story.
    to_story(),
    CheckConstraint(f"char_length(name) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="name_length"),
    CheckConstraint("(head_scene_number IS NULL) = (head_position = 0)", name="head_is_one_place"),
    CheckConstraint(
        "num_nulls(redo_scene_number, redo_timeline, redo_position, redo_version) IN (0, 4)", name="redo_is_one_place"
    ),
    CheckConstraint("version > 0", name="version_positive"),
)
# Partial on what is true of every branch: no statement reads by it (see the decision on indexes that begin alike).
Index(
    "uq_branches_name",
    branches.c.world_id,
    branches.c.name,
    branches.c.story_id,
    unique=True,
    postgresql_where=branches.c.branch_number > 0,
)
# An append updates both rows, and no index has what it changes: with room in the page no index is touched.
# SQLAlchemy before 2.1 knows no storage parameters of a table.
for _table in (stories, branches):
    _room = DDL("ALTER TABLE %(fullname)s SET (fillfactor = 50)")  # type: ignore[no-untyped-call]
    event.listen(_table, "after_create", _room)

timelines = Table(
    "timelines",
    metadata,
    world_id_column(),
    story_id_column(),
    number_column("timeline_number"),
    Column("parent_timeline", Integer),
    #: The last position that it shares with its parent; its own scenes begin at the next one. An append at a head whose
    #: next position is free continues the timeline.
    Column("fork_position", Integer, nullable=False, server_default=text("0")),
    to_story(),
    ForeignKeyConstraint(
        [*STORY_KEY, "parent_timeline"],
        [f"{SCHEMA}.timelines.{name}" for name in (*STORY_KEY, "timeline_number")],
    ),
    CheckConstraint("fork_position >= 0", name="fork_position_natural"),
    CheckConstraint("parent_timeline < timeline_number", name="parent_is_older"),
)

timeline_lineage = Table(
    "timeline_lineage",
    metadata,
    world_id_column(),
    story_id_column(),
    number_column("timeline_number"),
    number_column("owner_timeline"),
    Column("from_position", Integer, nullable=False),
    Column("to_position", Integer, nullable=False),
    *(
        ForeignKeyConstraint(
            [*STORY_KEY, column],
            [f"{SCHEMA}.timelines.{name}" for name in (*STORY_KEY, "timeline_number")],
            ondelete="CASCADE",
        )
        for column in ("timeline_number", "owner_timeline")
    ),
    CheckConstraint("1 <= from_position AND from_position <= to_position", name="range_not_empty"),
    CheckConstraint("owner_timeline < timeline_number", name="owner_is_older"),
)
