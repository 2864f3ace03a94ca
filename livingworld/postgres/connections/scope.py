"""Whose rows a transaction works on, as the settings that row-level security compares with: `SET LOCAL`, never more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from livingworld.postgres.connections.scoped_transport import TENANT, WORLD, transport_of

if TYPE_CHECKING:
    from livingworld.settings.settings import Settings

#: Lets the owner of the tables through, and no other role.
MAINTENANCE: Final = "livingworld.maintenance"
#: The world of what is about no single one: the list of worlds.
NO_WORLD: Final = UUID(int=0)
#: No tenant may be named so.
EVERY_TENANT: Final = "*"
#: For a transaction on a connection that sends nothing ahead.
SET_SCOPE: Final = text(f"SELECT set_config('{WORLD}', :world_id, true), set_config('{TENANT}', :tenant, true)")
GET_SCOPE: Final = text(
    f"SELECT coalesce(current_setting('{WORLD}', true), '') AS world_id,"
    f" coalesce(current_setting('{TENANT}', true), '') AS tenant"
)
MAINTAIN: Final = text(
    f"SELECT set_config('{MAINTENANCE}', 'on', true), set_config('{WORLD}', '{NO_WORLD}', true),"
    f" set_config('{TENANT}', '{EVERY_TENANT}', true)"
)


class Scope(NamedTuple):
    """The values of both settings."""

    world_id: str
    tenant: str


def scope_of(world_id: UUID | None, tenant: str | None) -> Scope:
    """Return the scope of a world, or of all of them, among those of a tenant, or of all of them."""
    return Scope(str(NO_WORLD if world_id is None else world_id), EVERY_TENANT if tenant is None else tenant)


def scopes(settings: Settings) -> Callable[[UUID | None], Scope | None]:
    """Return what gives the scope of a world, or of what is about no single one; None where nothing is said."""
    return (lambda world_id: scope_of(world_id, settings.tenant)) if settings.row_security else (lambda _: None)


async def send_ahead(connection: object, scope: Scope | None) -> None:
    """Send a scope, if there is one, ahead of the next statement, in the transaction of which it holds."""
    if scope is None:
        return
    from sqlalchemy.ext.asyncio import AsyncConnection  # noqa: PLC0415 - with SQLAlchemy's ORM; who is here has opened

    if isinstance(connection, AsyncConnection):
        transport_of((await connection.get_raw_connection()).driver_connection).scope(scope, once=True)
