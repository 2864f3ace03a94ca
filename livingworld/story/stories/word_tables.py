"""Tables of the words of scenes: what search looks up, and which scenes are still to be indexed.

A writer of a scene's text adds one row to the queue, and the words are taken from the text later: `to_tsvector` and the
index of words cost more than the scene itself. Neither table has a foreign key, which would lock the scene again for
each row. Words are only written under the lock of their row in the queue, and a purge removes the queue first.
"""

from __future__ import annotations

from sqlalchemy import DDL, Column, DateTime, Index, Integer, Table, event, func
from sqlalchemy.dialects.postgresql import TSVECTOR

from livingworld.postgres.metadata import SCHEMA, metadata, world_id_column
from livingworld.story.stories.tables import number_column, story_id_column

unindexed_scenes = Table(
    "unindexed_scenes",
    metadata,
    world_id_column(),
    story_id_column(),
    number_column("scene_number"),
    #: The version of the scene that has the new text. A part of the key, so that an edit never waits for the row of an
    #: older version, which may be locked because it is being indexed.
    number_column("version"),
    Column("queued_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

scene_words = Table(
    "scene_words",
    metadata,
    world_id_column(),
    story_id_column(),
    number_column("scene_number"),
    #: The version of the scene whose text this is. A scene that is in the queue is read itself instead.
    Column("version", Integer, nullable=False),
    #: The words of the first 100,000 characters: a tsvector holds 1 MB at most.
    Column("words", TSVECTOR(), nullable=False),
)
Index("ix_scene_words_words", scene_words.c.words, postgresql_using="gin")
# The words stay in their rows: a search ranks many of them, and fetching one from elsewhere costs more than ranking it.
_IN_ROWS = DDL(f"ALTER TABLE {SCHEMA}.scene_words SET (toast_tuple_target = 8160)")  # type: ignore[no-untyped-call]
event.listen(scene_words, "after_create", _IN_ROWS)
