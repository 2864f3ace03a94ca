"""The tables of lore: the entries, and marks of their changes."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from livingworld.inputs import MAX_DESCRIPTION_CHARACTERS, MAX_LABEL_CHARACTERS
from livingworld.postgres.metadata import SCHEMA, metadata, time_columns, version_column, world_id_column

lore_entries = Table(
    "lore_entries",
    metadata,
    world_id_column(),
    Column("lore_id", Uuid(), primary_key=True),
    Column("book", Text, nullable=False),
    #: The order in the book; equal positions in the order of ids.
    Column("position", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("content", Text, nullable=False),
    #: The words and phrases that match the entry.
    Column("keys", ARRAY(Text), nullable=False),
    Column("case_sensitive", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    #: Whether a key matches only where no word continues across its ends.
    Column("whole_words", Boolean, nullable=False, server_default=text("true")),
    #: Whether its keys are regular expressions.
    Column("regex", Boolean, nullable=False, server_default=text("false")),
    #: The keys that are looked for too when one of `keys` occurs, and what has to be so of them.
    Column("secondary_keys", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("secondary_logic", Text, nullable=False, server_default=text("'and_any'")),
    #: Whether it matches every text.
    Column("constant", Boolean, nullable=False, server_default=text("false")),
    #: In how many of the last texts its keys are looked for; NULL: in all.
    Column("scan_depth", Integer),
    #: Whether the contents of other entries do not call it, and its content calls no other.
    Column("exclude_recursion", Boolean, nullable=False, server_default=text("false")),
    Column("prevent_recursion", Boolean, nullable=False, server_default=text("false")),
    #: The record that it was imported from, unchanged; NULL: it was not imported.
    Column("raw", JSONB(none_as_null=True)),
    version_column(),
    *time_columns(),
    Column("removed_at", DateTime(timezone=True)),
    ForeignKeyConstraint(["world_id"], [f"{SCHEMA}.worlds.world_id"], ondelete="CASCADE"),
    CheckConstraint(f"char_length(book) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="book_length"),
    CheckConstraint(f"char_length(title) <= {MAX_LABEL_CHARACTERS}", name="title_length"),
    CheckConstraint(f"char_length(content) <= {MAX_DESCRIPTION_CHARACTERS}", name="content_length"),
    CheckConstraint("secondary_logic IN ('and_any', 'and_all', 'not_any', 'not_all')", name="secondary_logic_known"),
    CheckConstraint("scan_depth >= 1", name="scan_depth_positive"),
    CheckConstraint("version > 0", name="version_positive"),
)
# The order of lists.
Index(
    "ix_lore_entries_book",
    lore_entries.c.world_id,
    lore_entries.c.book,
    lore_entries.c.position,
    lore_entries.c.lore_id,
    postgresql_where=lore_entries.c.removed_at.is_(None),
)
Index("ix_lore_entries_words", func.to_tsvector(text("'simple'"), lore_entries.c.content), postgresql_using="gin")

#: Marks of what changed last: whoever changes entries adds a mark and removes the others that are free. Equal marks
#: mean that nothing has changed, and no writer waits for another one.
lore_changes = Table(
    "lore_changes",
    metadata,
    world_id_column(),
    Column("change_id", Uuid(), primary_key=True),
    ForeignKeyConstraint(["world_id"], [f"{SCHEMA}.worlds.world_id"], ondelete="CASCADE"),
)
