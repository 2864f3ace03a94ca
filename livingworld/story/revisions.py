"""Revisions: the old copies of records, stored by the transaction that changes a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Integer,
    Table,
    Text,
    Uuid,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from livingworld.postgres.metadata import SCHEMA, metadata, world_id_column
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.read_only import read_only

revisions = Table(
    "revisions",
    metadata,
    world_id_column(),
    Column("entity", Text, primary_key=True),
    Column("entity_id", Uuid(), primary_key=True),
    #: Number of the scene when the entity is a scene of the story `entity_id`, else 0.
    Column("scene_number", Integer, primary_key=True, server_default=text("0"), autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("content", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["world_id"], [f"{SCHEMA}.worlds.world_id"], ondelete="CASCADE"),
    CheckConstraint("entity IN ('story', 'scene', 'character', 'lore')", name="entity_known"),
    CheckConstraint("(entity = 'scene') = (scene_number > 0)", name="scene_number_for_scenes"),
    CheckConstraint("version > 0", name="version_positive"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A record as it was before one of its edits."""

    #: The version that this copy had.
    version: int
    #: The fields that can be edited, as they were.
    content: Mapping[str, Any]
    #: The time of the edit that replaced it.
    replaced_at: datetime


async def keep_revision(
    tx: Transaction,
    entity: str,
    entity_id: UUID,
    *,
    version: int,
    content: Mapping[str, Any],
    scene_number: int = 0,
) -> None:
    """Store the old copy of a record; its row must be locked."""
    await tx.execute(
        insert(revisions).values(
            world_id=tx.world_id,
            entity=entity,
            entity_id=entity_id,
            scene_number=scene_number,
            version=version,
            content=dict(content),
        )
    )


async def read_revisions(
    tx: Transaction, entity: str, entity_id: UUID, *, scene_number: int = 0
) -> tuple[Revision, ...]:
    """Return the old copies of a record, oldest first; empty when it was never edited or does not exist."""
    columns = revisions.c
    statement = (
        select(columns.version, columns.content, columns.created_at)
        .where(
            columns.world_id == tx.world_id,
            columns.entity == entity,
            columns.entity_id == entity_id,
            columns.scene_number == scene_number,
        )
        .order_by(columns.version)
    )
    rows = await tx.execute(statement)
    return tuple(
        Revision(version=row.version, content=read_only(row.content), replaced_at=row.created_at) for row in rows
    )
