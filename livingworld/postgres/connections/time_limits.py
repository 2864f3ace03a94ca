"""Time limits as PostgreSQL's settings take them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sqlalchemy import text

from livingworld.settings.settings import Settings

SET_LOCK_TIMEOUT: Final = text("SELECT set_config('lock_timeout', :limit, true)")
#: Nothing is written by what it reads, so it needs no lock and loses no race.
SNAPSHOT: Final = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def in_milliseconds(limit: timedelta) -> str:
    """Return a limit as the value of a setting; never 0, which would mean no limit."""
    return f"{max(1, round(limit.total_seconds() * 1000))}ms"


def transaction_limits(settings: Settings) -> dict[str, timedelta]:
    """Return the server's time limits by the name of the PostgreSQL setting; for locks the prompt one."""
    return {
        "statement_timeout": settings.statement_timeout,
        "lock_timeout": min(settings.prompt_lock_timeout, settings.lock_timeout),
        "idle_in_transaction_session_timeout": settings.idle_in_transaction_timeout,
    }


def unit_limits(*, lock: timedelta | None, statement: timedelta | None) -> dict[str, timedelta]:
    """Return the limits of one unit where its session has others: of its waits for locks, and of its statement."""
    given = {"lock_timeout": lock, "statement_timeout": statement}
    return {name: limit for name, limit in given.items() if limit is not None}
