"""Time limits as PostgreSQL's settings take them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import TextClause, text

if TYPE_CHECKING:
    from livingworld.settings.settings import Settings


#: Nothing is written by what it reads, so it needs no lock and loses no race.
SNAPSHOT: Final = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def in_milliseconds(limit: timedelta) -> str:
    """Return a limit as the value of a setting; never 0, which would mean no limit."""
    return f"{max(1, round(limit.total_seconds() * 1000))}ms"


def set_lock_timeout(limit: timedelta | str) -> TextClause:
    """Return the statement that bounds the waits for locks until the transaction ends; a text is one of PostgreSQL.

    SET LOCAL, because Citus passes it on to the node that has the row, and set_config not. A time is rounded up to two
    digits, so that few texts are prepared.
    """
    if isinstance(limit, timedelta):
        milliseconds = max(1, round(limit.total_seconds() * 1000))
        step = 10 ** max(0, len(str(milliseconds)) - 2)
        limit = f"{-(-milliseconds // step) * step}ms"
    return text(f"SET LOCAL lock_timeout = '{limit}'")


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
