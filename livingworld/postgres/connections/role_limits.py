"""Time limits and the isolation level that the role, or the pooler, gives to every session; see `Settings.limits`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from livingworld.errors import LimitsMissing
from livingworld.postgres.connections.time_limits import in_milliseconds, transaction_limits
from livingworld.postgres.driver_errors.failures import ConnectFailed, DriverError, Failure

if TYPE_CHECKING:
    from livingworld.settings.settings import Settings

_ISOLATION: Final = "default_transaction_isolation"
#: What a session has; a time in milliseconds, 0 for none.
_ASK: Final = "SELECT name, setting FROM pg_settings WHERE name = ANY ($1)"


async def missing_limits(connection: Any, settings: Settings) -> dict[str, str]:  # noqa: ANN401 - asyncpg's connection
    """Return what a session lacks, by the name of the PostgreSQL setting: the value that it should have.

    A limit that is shorter than that of the settings is no lack.
    """
    wanted = {name: in_milliseconds(limit) for name, limit in transaction_limits(settings).items()}
    rows = await connection.fetch(_ASK, [_ISOLATION, *wanted])
    found = {row["name"]: row["setting"] for row in rows}
    missing = {name: value for name, value in wanted.items() if not 0 < int(found[name]) <= int(value[:-2])}
    if found[_ISOLATION] != "read committed":
        missing[_ISOLATION] = "read committed"
    return missing


async def refuse_missing_limits(connection: Any, settings: Settings) -> None:  # noqa: ANN401 - asyncpg's connection
    """Raise ConnectFailed with LimitsMissing when the role does not set every limit; closes the connection then."""
    missing = await missing_limits(connection, settings)
    if missing:
        await connection.close()
        error = LimitsMissing(missing=", ".join(f"{name} = {value}" for name, value in missing.items()))
        raise ConnectFailed(Failure(error, DriverError("the role's settings"), None, answered=False))
