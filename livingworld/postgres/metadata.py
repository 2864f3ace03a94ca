"""The one MetaData that every package's tables register with: own schema, names by convention, `world_id` first."""

from __future__ import annotations

import re

from sqlalchemy import CheckConstraint, Column, DateTime, Index, Integer, MetaData, Table, Text, Uuid, func, text
from sqlalchemy.sql.schema import SchemaItem

from livingworld.inputs import MAX_LABEL_CHARACTERS

#: Own PostgreSQL schema: an application's own `worlds` table stays untouched, and no search_path decides what we mean.
SCHEMA = "livingworld"
#: Where alembic keeps the revision, in our schema: none of our own tables.
VERSION_TABLE = "alembic_version"
#: What the names of indexes begin with that a command makes and no migration: they may be there or not.
MADE_BY_COMMAND = "made_"
#: Citus names the parts of a table by its name and a number.
_SHARD = re.compile(r"_\d{6,}$")

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    },
)


def is_shard(table: str) -> bool:
    """Return whether a name is that of a part of a table, where Citus distributes it."""
    return _SHARD.search(table) is not None


def world_id_column() -> Column[object]:
    """Return the tenant column that leads every key."""
    return Column("world_id", Uuid(), primary_key=True)


def version_column() -> SchemaItem:
    """Return the optimistic version: 1 at birth, raised by the statement that changes the row."""
    return Column("version", Integer, nullable=False, server_default=text("1"))


def time_columns() -> tuple[SchemaItem, SchemaItem]:
    """Return created_at and updated_at, both by the database's clock."""
    return (
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    )


def key_columns() -> tuple[SchemaItem, SchemaItem]:
    """Return the application's own key of a row, which NULL leaves without one; see `unique_key`."""
    length = CheckConstraint(f"char_length(key) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="key_length")
    return Column("key", Text), length


def unique_key(table: Table) -> Index:
    """Let no two rows of a world have one key; rows without a key cost nothing."""
    own = (table.c.world_id, table.c.key)
    return Index(f"uq_{table.name}_key", *own, unique=True, postgresql_where=table.c.key.is_not(None))
