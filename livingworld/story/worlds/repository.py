"""Worlds: made, found, changed, archived and purged."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, null, select, update
from sqlalchemy.dialects.postgresql import insert

from livingworld.errors import VersionConflict, WorldNotFound
from livingworld.identifiers import new_id
from livingworld.inputs import (
    check_boolean,
    check_integer,
    check_json_object,
    check_label,
    check_optional_label,
    check_uuid,
)
from livingworld.postgres.keyset import Page, check_limit, newest_first, page_of
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit_of_work import UnitOfWork
from livingworld.story.worlds.records import WorldRecord
from livingworld.story.worlds.tables import worlds


class WorldRepository:
    """The worlds of a database; inside one world, see World."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    async def create(
        self, name: str, *, tenant: str | None = None, settings: Mapping[str, Any] | None = None
    ) -> WorldRecord:
        """Store a new world and return it; names need not be unique."""
        values = {
            "world_id": new_id(),
            "name": check_label("name", name),
            "tenant": check_optional_label("tenant", tenant),
            "settings": check_json_object("settings", settings or {}),
        }
        return await self._unit.run(partial(_insert, values), repeatable=True)

    async def get(self, world_id: UUID) -> WorldRecord:
        """Return a world, archived or not; raises WorldNotFound."""
        statement = select(worlds).where(worlds.c.world_id == check_uuid("world_id", world_id))

        async def work(tx: Transaction) -> WorldRecord:
            return _record((await tx.execute(statement)).one_or_none())

        return await self._unit.run(work, repeatable=True, single_statement=True)

    async def list(
        self,
        *,
        tenant: str | None = None,
        include_archived: bool = False,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[WorldRecord]:
        """Return a page of worlds, newest first; of one tenant when named. Empty when there is none."""
        check_limit(limit)
        statement = select(worlds)
        if check_optional_label("tenant", tenant) is not None:
            statement = statement.where(worlds.c.tenant == tenant)
        if not check_boolean("include_archived", include_archived):
            statement = statement.where(worlds.c.archived_at.is_(None))
        statement = newest_first(statement, worlds.c.created_at, worlds.c.world_id, after=after, limit=limit)

        async def work(tx: Transaction) -> Page[WorldRecord]:
            return page_of((await tx.execute(statement)).all(), limit, _record, "world_id")

        return await self._unit.run(work, repeatable=True, single_statement=True)

    async def update(
        self,
        world_id: UUID,
        *,
        expected_version: int,
        name: str | None = None,
        tenant: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> WorldRecord:
        """Change the fields that are given and return the world; the rest stays.

        One statement on the locked row. Raises VersionConflict when it was changed since `expected_version`,
        WorldNotFound.
        """
        check_integer("expected_version", expected_version, minimum=1)
        changes: dict[str, Any] = {}
        if name is not None:
            changes["name"] = check_label("name", name)
        if tenant is not None:
            changes["tenant"] = check_label("tenant", tenant, empty=True)
        if settings is not None:
            changes["settings"] = check_json_object("settings", settings)
        return await self._unit.run(partial(_update, check_uuid("world_id", world_id), expected_version, changes))

    async def archive(self, world_id: UUID) -> WorldRecord:
        """Hide the world from lists and return it; nothing is removed, its stories stay readable and writable.

        Doing it again changes nothing. Raises WorldNotFound.
        """
        return await self._set_archived(world_id, func.now())

    async def restore(self, world_id: UUID) -> WorldRecord:
        """Take the world back into lists and return it; raises WorldNotFound."""
        return await self._set_archived(world_id, null())

    async def _set_archived(self, world_id: UUID, archived_at: Any) -> WorldRecord:  # noqa: ANN401 - an SQL expression
        key = check_uuid("world_id", world_id)
        return await self._unit.run(partial(_set_archived, key, archived_at), repeatable=True)


async def _insert(values: Mapping[str, Any], tx: Transaction) -> WorldRecord:
    """Insert; the id is new, so a row that is there already is this one, stored by a try whose answer was lost."""
    statement = insert(worlds).values(values).on_conflict_do_nothing(index_elements=["world_id"]).returning(worlds)
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        row = (await tx.execute(select(worlds).where(worlds.c.world_id == values["world_id"]))).one()
    return _record(row)


async def _update(world_id: UUID, expected: int, changes: Mapping[str, Any], tx: Transaction) -> WorldRecord:
    statement = (
        update(worlds)
        .where(worlds.c.world_id == world_id, worlds.c.version == expected)
        .values(**changes, version=worlds.c.version + 1, updated_at=func.now())
        .returning(worlds)
    )
    row = (await tx.execute(statement)).one_or_none()
    if row is not None:
        return _record(row)
    actual = await tx.scalar(select(worlds.c.version).where(worlds.c.world_id == world_id))
    if actual is None:
        raise WorldNotFound(world_id=world_id)
    raise VersionConflict(expected=expected, actual=actual)


async def _set_archived(world_id: UUID, archived_at: Any, tx: Transaction) -> WorldRecord:  # noqa: ANN401
    wanted = worlds.c.archived_at.is_(None) if archived_at is not null() else worlds.c.archived_at.is_not(None)
    await tx.execute(
        update(worlds)
        .where(worlds.c.world_id == world_id, wanted)
        .values(archived_at=archived_at, version=worlds.c.version + 1, updated_at=func.now())
    )
    return _record((await tx.execute(select(worlds).where(worlds.c.world_id == world_id))).one_or_none())


def _record(row: Row[Any] | None) -> WorldRecord:
    if row is None:
        raise WorldNotFound
    return WorldRecord(
        id=UUID(int=row.world_id.int),
        name=row.name,
        tenant=row.tenant,
        settings=row.settings,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        archived_at=row.archived_at,
    )
