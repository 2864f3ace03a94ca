"""Worlds: created, found, changed and archived."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Row, Select, func, null, select, update
from sqlalchemy.dialects.postgresql import insert

from livingworld.deadlines import one_call
from livingworld.errors import InvalidInput, RequestKeyReused, SerializationFailure, VersionConflict, WorldNotFound
from livingworld.identifiers import new_id
from livingworld.inputs import (
    UNCHANGED,
    Unchanged,
    check_boolean,
    check_changes,
    check_integer,
    check_json_object,
    check_key,
    check_label,
    check_optional_label,
    check_uuid,
)
from livingworld.postgres.connections.scope import EVERY_TENANT
from livingworld.postgres.idempotency import request_hash
from livingworld.postgres.keyset import Page, check_limit, newest_cursor, newest_first, page_of
from livingworld.postgres.transactions.database import Database
from livingworld.postgres.transactions.replication import wait_for_standbys
from livingworld.postgres.transactions.transaction import Operation, P, T, Transaction
from livingworld.postgres.transactions.world_database import WorldDatabase
from livingworld.story.worlds.records import WorldRecord
from livingworld.story.worlds.rows import make_world_record
from livingworld.story.worlds.tables import worlds

#: What holds for the worlds of this process.
Conditions: TypeAlias = tuple[ColumnElement[bool], ...]
#: A key can be taken and given up between two looks, but not as often as this.
_LOOKS: Final = 5


def check_tenant(field: str, value: object) -> str | None:
    """Return the name of a tenant, or None; raises InvalidInput where it begins with *, which stands for all."""
    tenant = check_optional_label(field, value)
    if tenant is not None and tenant.startswith(EVERY_TENANT):
        raise InvalidInput(field, "must not begin with *")
    return tenant


#: How each field of a world that can be changed is checked.
_CHECKS: Final[Mapping[str, Callable[[str, Any], object]]] = {
    "name": check_label,
    "tenant": check_tenant,
    "settings": check_json_object,
}


class WorldRepository:
    """The worlds of a database; inside one world, see World."""

    def __init__(self, database: Database, tenant: str | None = None) -> None:
        """With a `tenant` there are no worlds but those of it."""
        self._database = database
        self._tenant = tenant
        self._mine: Conditions = () if tenant is None else (worlds.c.tenant == tenant,)

    async def create(
        self,
        name: str,
        *,
        tenant: str | None = None,
        settings: Mapping[str, Any] | None = None,
        request_key: str | None = None,
    ) -> WorldRecord:
        """Store a new world and return it; names need not be unique.

        With a `request_key`, unique in the database, a repetition returns the world as it is now; other arguments under
        the same key are RequestKeyReused.
        """
        new, values = new_id(), self._checked(name, tenant, settings)
        if request_key is not None:
            digest = request_hash(["worlds.create", values])
            values |= {"request_key": check_label("request_key", request_key), "request_hash": digest}
        return await self._database.run(lambda tx: _insert(tx, new, values, self._mine), repeatable=True)

    async def get_or_create(
        self,
        key: str,
        *,
        name: str | None = None,
        tenant: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> tuple[WorldRecord, bool]:
        """Return the world of a key of the application's own, archived or not, and whether this call made it.

        Keys are unique in the database. One round trip when the world exists; the other arguments are not used then. A
        new world without a name is named as its key.
        """
        values = {"key": check_key("key", key), **self._checked(key if name is None else name, tenant, settings)}
        with one_call(self._database.call_timeout):
            for _ in range(_LOOKS):
                if (found := await self.find_by_key(key)) is not None:
                    return found, False
                new = new_id()
                make = partial(_insert_with_key, world_id=new, values=values, mine=self._mine)
                if (made := await self._database.run(make, repeatable=True)) is not None:
                    return made, made.id.int == new.int
        if self._tenant is None:
            raise SerializationFailure
        field = "key"
        raise InvalidInput(field, "is that of a world of another tenant")

    async def find_by_key(self, key: str) -> WorldRecord | None:
        """Return the world of a key, archived or not, or None; one round trip, no lock."""
        read = partial(_find, column=worlds.c.key, value=check_key("key", key), mine=self._mine)
        return await self._database.run(read, repeatable=True, single_statement=True)

    async def get(self, world_id: UUID) -> WorldRecord:
        """Return a world, archived or not; raises WorldNotFound."""
        return await self._world(world_id).read(_get, world_id, self._mine)

    async def list(
        self,
        *,
        tenant: str | None = None,
        include_archived: bool = False,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[WorldRecord]:
        """Return a page of worlds, newest first; of one tenant when given. Empty when there is none."""
        check_limit(limit)
        statement = select(worlds).where(*self._mine)
        if check_optional_label("tenant", tenant) is not None:
            statement = statement.where(worlds.c.tenant == tenant)
        if not check_boolean("include_archived", include_archived):
            statement = statement.where(worlds.c.archived_at.is_(None))
        order = (worlds.c.created_at, worlds.c.world_id)
        statement = newest_first(statement, *order, after=newest_cursor(after), limit=limit)
        read = partial(_page, statement=statement, limit=limit)
        return await self._database.run(read, repeatable=True, single_statement=True)

    async def update(
        self,
        world_id: UUID,
        *,
        expected_version: int,
        name: str | Unchanged = UNCHANGED,
        tenant: str | Unchanged | None = UNCHANGED,
        settings: Mapping[str, Any] | Unchanged = UNCHANGED,
    ) -> WorldRecord:
        """Change the given fields and return the world; None takes the tenant away.

        One statement on the locked row. Raises VersionConflict when it was changed since `expected_version`,
        WorldNotFound.
        """
        world = self._world(world_id)
        check_integer("expected_version", expected_version, minimum=1)
        changes = check_changes(_CHECKS, {"name": name, "tenant": tenant, "settings": settings})
        if "tenant" in changes:
            self._refuse_foreign(changes["tenant"])
        return await world.write(self._own(_update), expected_version, changes)

    async def archive(self, world_id: UUID) -> WorldRecord:
        """Hide the world from lists and return it; nothing is removed, its stories stay readable and writable.

        A repetition changes nothing. Raises WorldNotFound.
        """
        return await self._world(world_id).write_idempotent(self._own(_set_archived), func.now())

    async def restore(self, world_id: UUID) -> WorldRecord:
        """Take the world back into lists and return it; raises WorldNotFound."""
        return await self._world(world_id).write_idempotent(self._own(_set_archived), null())

    def _own(self, work: Operation[P, T]) -> Operation[P, T]:
        """Return work on a world that raises WorldNotFound for one of another tenant."""
        if self._tenant is None:
            return work

        async def work_on_own(tx: Transaction, /, *args: P.args, **kw: P.kwargs) -> T:
            await _get(tx, tx.world_id, self._mine)
            return await work(tx, *args, **kw)

        return work_on_own

    def _checked(self, name: str, tenant: str | None, settings: Mapping[str, Any] | None) -> dict[str, Any]:
        values = {
            "name": check_label("name", name),
            "tenant": check_tenant("tenant", self._tenant if tenant is None else tenant),
            "settings": check_json_object("settings", settings or {}),
        }
        self._refuse_foreign(values["tenant"])
        return values

    def _refuse_foreign(self, tenant: object) -> None:
        if self._tenant is not None and tenant != self._tenant:
            field = "tenant"
            raise InvalidInput(field, "is not the tenant of this process")

    def _world(self, world_id: UUID) -> WorldDatabase:
        return WorldDatabase(self._database, check_uuid("world_id", world_id))


async def _insert(tx: Transaction, world_id: UUID, values: Mapping[str, Any], mine: Conditions) -> WorldRecord:
    """Insert; a row that is there is this one, stored by a try whose answer was lost, or that of an equal request."""
    row = await _insert_row(tx, world_id, values)
    if row is not None:
        return make_world_record(row)
    if "request_key" not in values:
        return await _get(tx, world_id)
    stored = await _row_by(tx, worlds.c.request_key, values["request_key"], mine)
    if stored is None and not mine:
        raise WorldNotFound(world_id=world_id)
    if stored is None or stored.request_hash != values["request_hash"]:
        raise RequestKeyReused
    await wait_for_standbys(tx)
    return make_world_record(stored)


async def _insert_with_key(
    tx: Transaction, world_id: UUID, values: Mapping[str, Any], mine: Conditions
) -> WorldRecord | None:
    """Insert, or return what has the key, or None when its world was purged meanwhile."""
    row = await _insert_row(tx, world_id, values)
    return (
        await _find(tx, column=worlds.c.key, value=values["key"], mine=mine) if row is None else make_world_record(row)
    )


async def _insert_row(tx: Transaction, world_id: UUID, values: Mapping[str, Any]) -> Row[Any] | None:
    new = insert(worlds).values(world_id=world_id, **values).on_conflict_do_nothing()
    return (await tx.execute(new.returning(worlds))).one_or_none()


async def _find(tx: Transaction, *, column: Column[Any], value: str, mine: Conditions = ()) -> WorldRecord | None:
    row = await _row_by(tx, column, value, mine)
    return None if row is None else make_world_record(row)


async def _row_by(tx: Transaction, column: Column[Any], value: str, mine: Conditions = ()) -> Row[Any] | None:
    """Return the world that has this key of the whole database."""
    return (await tx.execute(select(worlds).where(column == value, *mine))).one_or_none()


async def _get(tx: Transaction, world_id: UUID, mine: Conditions = ()) -> WorldRecord:
    row = (await tx.execute(select(worlds).where(worlds.c.world_id == world_id, *mine))).one_or_none()
    if row is None:
        raise WorldNotFound(world_id=world_id)
    return make_world_record(row)


async def _page(tx: Transaction, *, statement: Select[Any], limit: int) -> Page[WorldRecord]:
    return page_of((await tx.execute(statement)).all(), limit, make_world_record, "world_id")


async def _update(tx: Transaction, expected: int, changes: Mapping[str, Any]) -> WorldRecord:
    statement = (
        update(worlds)
        .where(worlds.c.world_id == tx.world_id, worlds.c.version == expected)
        .values(**changes, version=worlds.c.version + 1, updated_at=func.now())
        .returning(worlds)
    )
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        raise VersionConflict(expected=expected, actual=(await _get(tx, tx.world_id)).version)
    return make_world_record(row)


async def _set_archived(tx: Transaction, archived_at: Any) -> WorldRecord:  # noqa: ANN401 - an SQL expression
    wanted = worlds.c.archived_at.is_(None) if archived_at is not null() else worlds.c.archived_at.is_not(None)
    await tx.execute(
        update(worlds)
        .where(worlds.c.world_id == tx.world_id, wanted)
        .values(archived_at=archived_at, version=worlds.c.version + 1, updated_at=func.now())
    )
    return await _get(tx, tx.world_id)
