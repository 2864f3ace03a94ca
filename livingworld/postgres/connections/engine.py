"""The engine: READ COMMITTED whatever the role's default says, every wait bounded, no parameter in any error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from json import JSONDecoder
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from sqlalchemy import URL, NullPool, event
from sqlalchemy.exc import DisconnectionError

from livingworld.inputs import canonical_json
from livingworld.observability import events
from livingworld.postgres.connections.array_types import register_array_types
from livingworld.postgres.connections.connecting import Open, connect
from livingworld.postgres.connections.connection_pool import ConnectionPool
from livingworld.postgres.connections.driver_connection import open_connection
from livingworld.postgres.connections.role_limits import refuse_missing_limits
from livingworld.postgres.connections.scoped_transport import open_scoped
from livingworld.postgres.connections.time_limits import in_milliseconds, transaction_limits
from livingworld.postgres.driver_errors.failures import DRIVER_EXCEPTIONS, name_failure
from livingworld.settings.database_url import ConnectionTarget, connection_target

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from livingworld.settings.settings import Settings

ISOLATION_LEVEL = "READ COMMITTED"
_json: Final = JSONDecoder()
#: Brings back a server that refuses connections.
Revive = Callable[[], Awaitable[None]]


def create_engine(settings: Settings, url: URL, *, revive_server: Revive | None = None) -> AsyncEngine:
    """Return an engine on `url`; nothing is connected yet.

    `revive_server` is awaited, once for each connection that is refused, before the connection is tried again.
    """
    target = connection_target(url, tls=settings.tls_context())
    engine = _engine(
        target,
        poolclass=ConnectionPool,
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_use_lifo=True,  # few warm connections, with their plans, before many cold ones
        pool_timeout=settings.pool_timeout.total_seconds(),
        json_serializer=canonical_json,
        json_deserializer=_read_json,
        connect_args=_connect_arguments(settings, target, revive_server),
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed_connection)
    events.emit(
        events.ENGINE_CREATED,
        isolation_level=ISOLATION_LEVEL,
        pool_size=settings.pool_size,
        embedded=revive_server is not None,
        behind_pooler=settings.behind_pooler,
    )
    return engine


async def close_engine(engine: AsyncEngine) -> None:
    """Close every idle connection, and each busy one when it comes back."""
    event.listen(engine.sync_engine, "checkin", lambda _, entry: entry.close())
    await engine.dispose()


def unpooled_engine(url: URL | str, settings: Settings | None = None) -> AsyncEngine:
    """Return an engine for one-off work, without the library's time limits; settings default to the environment's."""
    from livingworld.settings.settings import Settings  # noqa: PLC0415 - with pydantic; only who opens pays for it

    settings = settings or Settings.load()
    target = connection_target(url, tls=settings.tls_context())
    creator = _creator(target, timeout=settings.connect_timeout)
    return _engine(target, poolclass=NullPool, connect_args={"async_creator_fn": creator})


def _engine(target: ConnectionTarget, **options: Any) -> AsyncEngine:  # noqa: ANN401 - of create_async_engine
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - with SQLAlchemy's ORM; only who opens pays

    engine = create_async_engine(target.label(), isolation_level=ISOLATION_LEVEL, hide_parameters=True, **options)
    # SQLAlchemy sets codecs of a new connection, and asyncpg forgets what it has made of others then.
    event.listen(engine.sync_engine, "connect", lambda opened, _: register_array_types(opened.driver_connection))
    return engine


def listening_connection(settings: Settings, url: URL) -> Callable[[], Awaitable[Any]]:
    """Return what opens a connection that listens for notifications: asyncpg's own, outside the pool."""
    direct = settings.model_copy(update={"behind_pooler": False, "limits": None, "prepared_statements": None})
    target = connection_target(url, tls=settings.tls_context(), field="direct_database_url")
    return partial(connect, target, timeout=settings.connect_timeout, **_session_options(direct, target))


@asynccontextmanager
async def pooled_connection(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Take a connection and give it back; the loss of the connection never hides why the block was left."""
    reason: BaseException | None = None
    connection = engine.connect()
    try:
        await connection.start()
        try:
            yield connection
        except BaseException as error:
            reason = error
            raise
        finally:
            await _give_back(connection)
    except DRIVER_EXCEPTIONS as lost:
        if reason is None or reason is lost:
            raise
        reason.add_note(f"The session was lost meanwhile, and everything was rolled back: {name_failure(lost).cause}")
    if reason is not None:
        raise reason


async def _give_back(connection: AsyncConnection) -> None:
    """Give a connection back in this task: SQLAlchemy's own way makes a task, which the end of a loop cancels too."""
    try:
        await connection.close()
    except asyncio.CancelledError:  # while it was rolled back: it is closed, and its place is free
        await connection.close()
        raise


def _read_json(text: str) -> Any:  # noqa: ANN401 - a JSON value
    """Return what json.loads returns for a JSON text that PostgreSQL wrote, at a tenth of the cost of a short one."""
    if text == "{}":  # most objects have nothing in them
        return {}
    return _json.raw_decode(text.lstrip())[0]


def _connect_arguments(settings: Settings, target: ConnectionTarget, revive_server: Revive | None) -> dict[str, Any]:
    opening: Open = open_scoped if settings.row_security else open_connection
    if revive_server is not None:
        opening = _reviving(opening, revive_server)
    if settings.limits_set_by() == "role":
        opening = _limited_by_role(settings, opening)
    options = _session_options(settings, target) | {"open_connection": opening}
    creator = _creator(target, timeout=settings.connect_timeout, **options)
    arguments: dict[str, Any] = {"async_creator_fn": creator}
    if not settings.keeps_statements():  # a pooler's server connections change between transactions
        arguments["prepared_statement_cache_size"] = 0
    return arguments


def _session_options(settings: Settings, target: ConnectionTarget) -> dict[str, Any]:
    server = {"application_name": "livingworld", **target.server_settings}
    options: dict[str, Any] = {"command_timeout": settings.command_timeout.total_seconds(), "server_settings": server}
    if not settings.keeps_statements():
        options["statement_cache_size"] = 0
    if settings.limits_set_by() != "session":  # a pooler refuses other startup parameters
        return options
    for name, limit in transaction_limits(settings).items():
        server[name] = in_milliseconds(limit)
    server |= {"default_transaction_isolation": ISOLATION_LEVEL.lower(), "jit": "off"}
    return options


def _creator(target: ConnectionTarget, **options: Any) -> Callable[..., Awaitable[Any]]:  # noqa: ANN401 - of connect
    """Return what SQLAlchemy calls for a connection; the parts of the engine's URL that it passes are a label only."""

    async def create(**_: object) -> Any:  # noqa: ANN401 - asyncpg's connection
        return await connect(target, **options)

    return create


def _reviving(opening: Open, revive_server: Revive) -> Open:
    async def open_again(**arguments: Any) -> Any:  # noqa: ANN401 - asyncpg.connect's own signature
        try:
            return await opening(**arguments)
        except (ConnectionError, FileNotFoundError, asyncpg.CannotConnectNowError):
            await revive_server()
        return await opening(**arguments)

    return open_again


def _limited_by_role(settings: Settings, opening: Open) -> Open:
    async def open_limited(**arguments: Any) -> Any:  # noqa: ANN401 - asyncpg.connect's own signature
        connection = await opening(**arguments)
        await refuse_missing_limits(connection, settings)
        return connection

    return open_limited


def _refuse_closed_connection(dbapi_connection: Any, _record: object, _proxy: object) -> None:  # noqa: ANN401
    """Make the pool replace a connection that the server has closed: a ping without a round trip."""
    if dbapi_connection.driver_connection.is_closed():
        raise DisconnectionError
