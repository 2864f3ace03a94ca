"""The database as one world uses it: each unit is a transaction of its own, with retries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from livingworld.postgres.replicas.wanted import Wanted
from livingworld.postgres.transactions.database import Database
from livingworld.postgres.transactions.transaction import Operation, P, T, Transaction, Work

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession


class ReadsElsewhere(Protocol):
    """Reads that may come from another server; `replicas` has them."""

    async def read(self, work: Work[T], world_id: UUID, wanted: Wanted, from_primary: Callable[[], Awaitable[T]]) -> T:
        """Return what the work gives on a server that is as new as wanted, or what the primary gives."""
        ...


class WorldDatabase:
    """The WorldUnit whose calls are transactions of their own."""

    def __init__(self, database: Database, world_id: UUID, replica: ReadsElsewhere | None = None) -> None:
        self._database = database
        self._replica = replica
        self.world_id = world_id
        self.call_timeout: timedelta | None = database.call_timeout

    async def read(self, work: Operation[P, T], *args: P.args, **kw: P.kwargs) -> T:
        """Run one statement that writes nothing; see WorldUnit."""
        return await self._run(lambda tx: work(tx, *args, **kw), repeatable=True, single_statement=True)

    async def read_at_least(self, wanted: Wanted | None, work: Operation[P, T], /, *args: P.args, **kw: P.kwargs) -> T:
        """Run one statement that writes nothing, on a standby when it is as new as wanted; see WorldUnit."""
        if wanted is None or self._replica is None:
            return await self.read(work, *args, **kw)

        async def bound(tx: Transaction) -> T:
            return await work(tx, *args, **kw)

        return await self._replica.read(bound, self.world_id, wanted, lambda: self.read(work, *args, **kw))

    async def snapshot(self, work: Operation[P, T], *args: P.args, **kw: P.kwargs) -> T:
        """Run statements that write nothing and read as of one moment, without a lock."""
        return await self._database.run(
            lambda tx: work(tx, *args, **kw), repeatable=True, world_id=self.world_id, snapshot=True
        )

    async def write(self, work: Operation[P, T], *args: P.args, **kw: P.kwargs) -> T:
        """Run `work` wholly or not at all; see WorldUnit."""
        return await self._run(lambda tx: work(tx, *args, **kw))

    async def write_idempotent(self, work: Operation[P, T], *args: P.args, **kw: P.kwargs) -> T:
        """Run idempotent `work` wholly or not at all; see WorldUnit."""
        return await self._run(lambda tx: work(tx, *args, **kw), repeatable=True)

    async def write_single(self, work: Operation[P, T], *args: P.args, **kw: P.kwargs) -> T:
        """Run one statement that writes; see WorldUnit."""
        return await self._run(lambda tx: work(tx, *args, **kw), single_statement=True)

    async def write_single_idempotent(self, work: Operation[P, T], *args: P.args, **kw: P.kwargs) -> T:
        """Run one idempotent statement that writes; see WorldUnit."""
        return await self.read(work, *args, **kw)

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open one transaction; see Database."""
        return self._database.transaction(self.world_id)

    def join(self, connection: AsyncConnection | AsyncSession) -> AbstractAsyncContextManager[Transaction]:
        """Work inside a transaction that the caller opened; see Database."""
        return self._database.join(connection, self.world_id)

    def refuse_misplaced(self) -> None:
        """Raise Closed, WrongEventLoop or AlreadyInTransaction where no unit may begin."""
        self._database.refuse_misplaced()

    def refuse_other_loops(self) -> None:
        """Raise WrongEventLoop."""
        self._database.refuse_other_loops()

    async def _run(self, work: Work[T], *, repeatable: bool = False, single_statement: bool = False) -> T:
        return await self._database.run(
            work, repeatable=repeatable, single_statement=single_statement, world_id=self.world_id
        )
