"""The engine: READ COMMITTED whatever the role's default says, every wait bounded, no parameter in any error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

import asyncpg
from sqlalchemy import URL, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from livingworld.database.time_limits import in_milliseconds
from livingworld.inputs import canonical_json
from livingworld.observability import events
from livingworld.settings import Settings

ISOLATION_LEVEL = "READ COMMITTED"
#: Brings back a server that refuses connections.
Revive = Callable[[], Awaitable[None]]


def create_engine(settings: Settings, url: URL, *, revive_server: Revive | None = None) -> AsyncEngine:
    """Return an engine on `url`; nothing is connected yet.

    `revive_server` is awaited, once for each connection that is refused, before the connection is tried again.
    """
    engine = create_async_engine(
        url,
        isolation_level=ISOLATION_LEVEL,
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_use_lifo=True,  # few warm connections, with their plans, before many cold ones
        pool_timeout=settings.pool_timeout.total_seconds(),
        hide_parameters=True,
        json_serializer=canonical_json,
        connect_args=_connect_arguments(settings, revive_server),
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


def listening_connection(settings: Settings, url: URL) -> Callable[[], Awaitable[Any]]:
    """Return what opens a connection that listens for notifications: asyncpg's own, outside the pool."""
    arguments = _connect_arguments(settings.model_copy(update={"behind_pooler": False}), None)
    sqlalchemy_options = {"statement_cache_size", "prepared_statement_cache_size"}
    options = {name: value for name, value in arguments.items() if name not in sqlalchemy_options}
    address = url.translate_connect_args(username="user") | dict(url.query)
    return partial(asyncpg.connect, **address, **options)


def transaction_limits(settings: Settings) -> dict[str, timedelta]:
    """Return the server's time limits by the name of the PostgreSQL setting; of locks the prompt one."""
    return {
        "statement_timeout": settings.statement_timeout,
        "lock_timeout": min(settings.prompt_lock_timeout, settings.lock_timeout),
        "idle_in_transaction_session_timeout": settings.idle_in_transaction_timeout,
    }


def _connect_arguments(settings: Settings, revive_server: Revive | None) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "timeout": settings.connect_timeout.total_seconds(),
        "command_timeout": settings.command_timeout.total_seconds(),
        "server_settings": {"application_name": "livingworld"},
    }
    if settings.behind_pooler:  # it refuses other startup parameters, and its server connections change under us
        arguments |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
    else:
        limits = {name: in_milliseconds(limit) for name, limit in transaction_limits(settings).items()}
        pinned = {"default_transaction_isolation": ISOLATION_LEVEL.lower(), "jit": "off"}
        arguments["server_settings"] |= limits | pinned
    if (tls := settings.tls_context()) is not None:
        arguments["ssl"] = tls
    if revive_server is not None:
        arguments["async_creator_fn"] = _reviving(revive_server)
    return arguments


def _reviving(revive_server: Revive) -> Callable[..., Awaitable[Any]]:
    async def connect(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - asyncpg.connect's own signature
        try:
            return await asyncpg.connect(*args, **options)
        except (ConnectionError, FileNotFoundError, asyncpg.CannotConnectNowError):
            await revive_server()
        return await asyncpg.connect(*args, **options)

    return connect


def _refuse_closed_connection(dbapi_connection: Any, _record: object, _proxy: object) -> None:  # noqa: ANN401
    """Let the pool replace a connection that the server has closed: a ping without a round trip."""
    if dbapi_connection.driver_connection.is_closed():
        raise DisconnectionError
