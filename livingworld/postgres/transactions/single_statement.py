"""A statement that is its own transaction: text goes straight to the driver, past SQLAlchemy.

SQLAlchemy's engine has the pool and opens the connections. What it does around one statement (a Connection, execution
options, a cursor, a result) costs three times what the driver needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from asyncpg import Record
from sqlalchemy import CursorResult, Executable

from livingworld.postgres.connections.connection_pool import ConnectionPool
from livingworld.postgres.connections.engine import pooled_connection
from livingworld.postgres.connections.prepared_texts import fetch_prepared
from livingworld.postgres.connections.scope import Scope
from livingworld.postgres.connections.scoped_transport import transport_of
from livingworld.postgres.transactions.overdue import CancelSession, cancelled_when_overdue
from livingworld.postgres.transactions.text_result import TextResult

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.pool import ConnectionPoolEntry

    from livingworld.postgres.transactions.unit import Unit


class SingleStatement:
    """The connection of a unit that is one statement; it is taken when the statement comes, and given back with it."""

    #: When there was a connection to send the statement on, as a moment of perf_counter.
    sent_at: float | None = None

    def __init__(
        self,
        engine: AsyncEngine,
        unit: Unit[Any],
        cancel_session: CancelSession | None,
        scope: Scope | None,
    ) -> None:
        """`engine` commits each statement; the unit is told when there is a connection to send it on.

        `scope` is sent ahead of it; None on connections that send nothing ahead.
        """
        self.engine = engine
        self._sending = unit.sending
        self._has_timer = unit.has_timer
        self._overdue = unit.overdue
        self._cancel_session = cancel_session
        self._scope = scope

    async def exec_driver_sql(self, sql: str, parameters: tuple[Any, ...]) -> TextResult:
        """Run a statement with $1, $2, ...; the driver prepares a text once on each connection."""
        pool = cast("ConnectionPool", self.engine.pool)
        entry = pool.take_idle() or await pool.take()
        cancelled = False
        try:
            if self._scope is None:
                return TextResult(await self._fetch(entry, sql, parameters))
            with self._scoped(entry.driver_connection):
                return TextResult(await self._fetch(entry, sql, parameters))
        except Exception:  # a connection that was lost is replaced when it is next taken
            raise
        except BaseException:  # the server may still run it
            cancelled = True
            raise
        finally:
            await pool.give_back(entry, broken=cancelled)

    async def _fetch(self, entry: ConnectionPoolEntry, sql: str, parameters: tuple[Any, ...]) -> list[Record]:
        self._sending()
        self.sent_at = perf_counter()
        driver: Any = entry.driver_connection
        fetched = fetch_prepared(entry, sql, parameters) if self._has_timer else driver.fetch(sql, *parameters)
        if self._overdue is None or self._cancel_session is None:
            return await fetched
        async with cancelled_when_overdue(driver, self._overdue, self._cancel_session):
            return await fetched

    async def execute(self, statement: Executable, parameters: Any) -> CursorResult[Any]:  # noqa: ANN401
        """Run a statement that SQLAlchemy compiles; its rows are read before the connection is given back."""
        async with pooled_connection(self.engine) as connection:
            with self._scoped((await connection.get_raw_connection()).driver_connection):
                self._sending()
                self.sent_at = perf_counter()
                return await connection.execute(statement, parameters)

    @contextmanager
    def _scoped(self, driver: Any) -> Iterator[Any]:  # noqa: ANN401 - asyncpg's connection
        if self._scope is None:
            yield driver
            return
        transport = transport_of(driver)
        transport.scope(self._scope)
        try:
            yield driver
        finally:
            transport.forget()
