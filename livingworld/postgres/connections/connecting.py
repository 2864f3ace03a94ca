"""One connection to the first host of a URL that accepts it, by the rules of libpq."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

from livingworld.errors import Unavailable
from livingworld.postgres.connections import driver_connection
from livingworld.postgres.driver_errors.connect_failures import (
    CONNECT_EXCEPTIONS,
    name_connect_failure,
    none_of_several,
)
from livingworld.postgres.driver_errors.failures import ConnectFailed, Failure
from livingworld.settings.database_url import Address, ConnectionTarget

#: asyncpg.connect, or a function that wraps it.
Open = Callable[..., Awaitable[Any]]

#: The session attributes that are asked for, one round after the other.
_ROUNDS: Final = {"prefer-standby": ("standby", "any")}


async def connect(
    target: ConnectionTarget,
    *,
    timeout: timedelta,
    open_connection: Open = driver_connection.open_connection,
    **options: Any,  # noqa: ANN401 - asyncpg.connect's own
) -> Any:  # noqa: ANN401 - asyncpg's connection
    """Open a connection, trying one host after the other; raises ConnectFailed.

    `timeout` is for each host, unless the URL has one. As with libpq the next host is tried where this one cannot be
    reached or lacks the session attributes, and not where it refuses.
    """
    failures: list[tuple[Address, Failure]] = []
    limit = (target.connect_timeout or timeout).total_seconds()
    for attributes in _ROUNDS.get(target.target_session_attrs, (target.target_session_attrs,)):
        for address in target.in_order():
            arguments = target.arguments(address) | {"target_session_attrs": attributes, "timeout": limit} | options
            try:
                return await open_connection(**arguments)
            except CONNECT_EXCEPTIONS as exception:
                failure = name_connect_failure(exception, target, address)
            failures.append((address, failure))
            if not isinstance(failure.error, Unavailable):
                raise ConnectFailed(failure) from failure.cause
    raise ConnectFailed(none_of_several(failures)) from failures[-1][1].cause
