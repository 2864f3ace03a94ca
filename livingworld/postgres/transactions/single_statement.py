"""A statement that is its own transaction: text goes straight to the driver, past SQLAlchemy.

SQLAlchemy's engine has the pool and opens the connections. What it does around one statement (a Connection, execution
options, a cursor, a result) costs three times what the driver needs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import CursorResult, Executable
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from livingworld.postgres.connections.engine import pooled_connection
from livingworld.postgres.transactions.overdue import CancelSession, cancelled_when_overdue
from livingworld.postgres.transactions.text_result import TextResult


class SingleStatement:
    """The connection of a unit that is one statement; it is taken when the statement comes, and given back with it."""

    def __init__(
        self,
        engine: AsyncEngine,
        sending: Callable[[], None],
        overdue: timedelta | None,
        cancel_session: CancelSession | None,
    ) -> None:
        """`engine` commits each statement; `sending` is called when there is a connection to send it on."""
        self.engine = engine
        self._sending = sending
        self._overdue = overdue
        self._cancel_session = cancel_session

    async def exec_driver_sql(self, sql: str, parameters: tuple[Any, ...]) -> TextResult:
        """Run a statement with $1, $2, ...; the driver prepares a text once on each connection."""
        async with _driver_connection(self.engine) as driver:
            self._sending()
            async with cancelled_when_overdue(driver, self._overdue, self._cancel_session):
                return TextResult(await driver.fetch(sql, *parameters))

    async def execute(self, statement: Executable, parameters: Any) -> CursorResult[Any]:  # noqa: ANN401
        """Run a statement that SQLAlchemy compiles; its rows are read before the connection is given back."""
        async with pooled_connection(self.engine) as connection:
            self._sending()
            return await connection.execute(statement, parameters)


@asynccontextmanager
async def _driver_connection(engine: AsyncEngine) -> AsyncIterator[Any]:
    """Take asyncpg's connection from the pool and give it back; one whose call was cancelled is closed instead."""
    pooled = await engine.raw_connection()
    try:
        yield pooled.driver_connection
    except Exception:  # a connection that was lost is replaced when it is taken again
        raise
    except BaseException:
        await greenlet_spawn(pooled.invalidate)
        raise
    finally:
        await greenlet_spawn(pooled.close)
