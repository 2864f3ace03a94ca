"""A statement that is read on a standby, after the proof that its connection leads to one that is new enough."""

from __future__ import annotations

from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import CursorResult, Executable

from livingworld.postgres.connections.engine import pooled_connection
from livingworld.postgres.connections.scope import Scope
from livingworld.postgres.driver_errors.failures import DRIVER_EXCEPTIONS
from livingworld.postgres.replicas.proof import Proof, Shown
from livingworld.postgres.replicas.taking import Taking
from livingworld.postgres.replicas.unused import Reason, StandbyUnused
from livingworld.postgres.transactions.single_statement import SingleStatement
from livingworld.postgres.transactions.text_result import TextResult
from livingworld.postgres.transactions.unit import Unit

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

#: Under this name a connection of the pool carries what it has shown.
_SHOWN: Final = "livingworld standby"


class StandbyStatement(SingleStatement):
    """The connection of a read on a standby."""

    def __init__(self, engine: AsyncEngine, unit: Unit[Any], scope: Scope | None, taking: Taking, proof: Proof) -> None:
        """`engine` commits each statement."""
        super().__init__(engine, unit, None, scope)
        self._taking = taking
        self._proof = proof

    async def exec_driver_sql(self, sql: str, parameters: tuple[Any, ...]) -> TextResult:
        """Run a statement with $1, $2, ... after its proof, on the same connection."""
        entry = await self._taking.take()
        silent = False
        try:
            with self._scoped(entry.driver_connection) as driver:
                await self._prove(driver, entry.info)
                return TextResult(await self._fetch(entry, sql, parameters))
        except BaseException as error:  # a connection that was lost is replaced when it is next taken
            silent = _is_silent(error)
            raise
        finally:
            await self._taking.pool.give_back(entry, broken=silent)

    async def execute(self, statement: Executable, parameters: Any) -> CursorResult[Any]:  # noqa: ANN401
        """Run a statement that SQLAlchemy compiles after its proof, on the same connection."""
        await self._taking.warm()
        async with pooled_connection(self.engine) as connection:
            raw = await connection.get_raw_connection()
            try:
                with self._scoped(raw.driver_connection) as driver:
                    await self._prove(driver, raw.info)
                    self._sending()
                    self.sent_at = perf_counter()
                    return await connection.execute(statement, parameters)
            except BaseException as error:
                if _is_silent(error):
                    with suppress(*DRIVER_EXCEPTIONS):
                        await connection.invalidate()
                raise

    async def _prove(self, driver: Any, info: dict[Any, Any]) -> None:  # noqa: ANN401 - asyncpg's connection
        async def ask(sql: str, parameters: tuple[Any, ...]) -> list[Any]:
            return TextResult(await driver.fetch(sql, *parameters)).all()

        await self._taking.in_time(self._proof.on(ask, info.setdefault(_SHOWN, Shown())))


def _is_silent(error: BaseException) -> bool:
    """Return whether the server may still run a statement of the connection."""
    return not isinstance(error, Exception) or (isinstance(error, StandbyUnused) and error.reason is Reason.SLOW)
