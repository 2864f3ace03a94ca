"""Leases: the right to do something for longer than a transaction, for one holder in the whole world at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from livingworld.coordination.locks.tables import leases
from livingworld.errors import Fenced, LeaseHeld, LivingWorldError
from livingworld.identifiers import new_id
from livingworld.inputs import MAX_TTL, MIN_TTL, check_duration, check_label
from livingworld.observability import events
from livingworld.postgres.leases import Lease
from livingworld.postgres.locks import lock_row
from livingworld.postgres.services import Services
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit_of_work import UnitOfWork

# The time is the one at which the statement began, before any wait for the row: too early, never too late.
_TAKE: Final = """
    INSERT INTO livingworld.leases AS l (world_id, name, token, owner, expires_at)
    VALUES ($1, $2, 1, $3, now() + $4::interval)
    ON CONFLICT ON CONSTRAINT pk_leases DO UPDATE
    SET token = l.token + 1, owner = excluded.owner, expires_at = excluded.expires_at
    WHERE l.owner IS NULL OR l.expires_at <= now() OR l.owner = excluded.owner
    RETURNING l.token
"""
_RENEW: Final = """
    UPDATE livingworld.leases AS l SET expires_at = now() + $4::interval
    WHERE l.world_id = $1 AND l.name = $2 AND l.owner = $3 RETURNING true
"""
_RELEASE: Final = """
    UPDATE livingworld.leases AS l SET owner = NULL, expires_at = NULL
    WHERE l.world_id = $1 AND l.name = $2 AND l.owner = $3
"""


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A lease in hand."""

    name: str
    #: Rises with every holding of this name: whoever writes elsewhere can compare it there.
    token: int
    #: Set when the lease is lost, or may be.
    lost: asyncio.Event = field(repr=False)
    _world_id: UUID = field(repr=False)
    _owner: UUID = field(repr=False)

    async def check(self, tx: Transaction) -> None:
        """Prove in a writing transaction that the lease is still held, and keep it so until the transaction ends.

        It locks the lease's row; called first it waits for it, later LockOrderViolation where somebody else has it.
        Raises Fenced when somebody else has had it since.
        """
        key = {"world_id": self._world_id, "name": self.name}
        row = await lock_row(tx, LockKind.LEASE, leases, key)
        if row is None or row.token != self.token or row.owner is None or row.owner.int != self._owner.int:
            raise Fenced(lease=self.name, token=self.token)


class Leases:
    """The leases of one world."""

    def __init__(self, unit: UnitOfWork, world_id: UUID, services: Services) -> None:
        self._unit = unit
        self._world_id = world_id
        self._background = services.background
        self._tasks = services.tasks
        self._notifications = services.notifications

    @asynccontextmanager
    async def hold(self, name: str, *, ttl: timedelta = timedelta(seconds=30)) -> AsyncIterator[HeldLease]:
        """Hold a lease while the block runs, renewed in the background; no transaction and no connection is held.

        Raises LeaseHeld at once when somebody else holds it. When the process dies it is free after `ttl`, by the
        database's clock. A holder that may have lost it hears so by `lost`, and one that was paused and thawed is
        Fenced by `check`.
        """
        checked = check_label("name", name)
        length = check_duration("ttl", ttl, minimum=MIN_TTL, maximum=MAX_TTL)
        owner, asked_at = UUID(int=new_id().int), asyncio.get_running_loop().time()
        renewing: Lease | None = None
        try:
            token = await self._take(checked, owner, length)
            renewing = self._keep(checked, owner, length, asked_at)
            yield HeldLease(checked, token, renewing.lost, self._world_id, owner)
        finally:
            if renewing is not None:
                renewing.end()
            await asyncio.shield(self._tasks.finish(self._release(checked, owner)))

    async def _take(self, name: str, owner: UUID, length: timedelta) -> int:
        async def work(tx: Transaction) -> int | None:
            token: int | None = (await tx.execute_text(_TAKE, (self._world_id, name, owner, length))).scalar()
            return token

        token = await self._unit.run(work, repeatable=True, single_statement=True)
        if token is None:
            raise LeaseHeld(lease=name)
        return token

    def _keep(self, name: str, owner: UUID, length: timedelta, asked_at: float) -> Lease:
        async def renew() -> bool:
            async def work(tx: Transaction) -> bool:
                row = await tx.execute_text(_RENEW, (self._world_id, name, owner, length))
                return row.first() is not None

            return await self._background.run(work, repeatable=True, single_statement=True)

        return Lease(
            renew,
            length=length,
            first_look=length,
            look_every=length,
            asked_at=asked_at,
            subscription=lambda: self._notifications.subscribe(f"lease:{self._world_id}:{name}"),
            start=self._tasks.watch,
        )

    async def _release(self, name: str, owner: UUID) -> None:
        """Give the lease back if it is ours; when the server is away it ends by itself."""

        async def work(tx: Transaction) -> None:
            await tx.execute_text(_RELEASE, (self._world_id, name, owner))

        try:
            await self._background.run(work, repeatable=True, single_statement=True)
        except LivingWorldError as error:
            events.emit(events.LEASE_NOT_RELEASED, world_id=self._world_id, error=type(error).__name__)
