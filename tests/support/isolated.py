"""A database in which each transaction sees one world."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from livingworld import Settings
from livingworld.postgres.connections.scope import EVERY_TENANT
from livingworld.testing.roles import Roles
from livingworld.testing.staged_races import Connection, connected

SOON: Final = timedelta(seconds=10)
SET_SCOPE: Final = (
    "SELECT set_config('livingworld.world_id', $1, true), set_config('livingworld.tenant', $2, true),"
    " set_config('livingworld.maintenance', $3, true)"
)


@dataclass(frozen=True)
class Isolated:
    """One database whose transactions see one world, with two worlds in it."""

    roles: Roles
    own: UUID
    other: UUID


def declared(url: str, **more: object) -> Settings:
    """Return the settings of a process that says whose rows it works on."""
    return Settings.load(database_url=url, row_security=True, **more)


@asynccontextmanager
async def scoped(
    url: str, world_id: UUID, tenant: str = EVERY_TENANT, maintenance: str = ""
) -> AsyncIterator[Connection]:
    """Give a connection with plain SQL in the scope of a world; what it does is rolled back."""
    async with connected(url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(SET_SCOPE, str(world_id), tenant, maintenance)
        yield connection
        await transaction.rollback()
