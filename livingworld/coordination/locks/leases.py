"""Leases: the right to do something for longer than a transaction, for one holder in the whole world at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from livingworld.coordination.locks.tables import leases
from livingworld.errors import Fenced, LeaseHeld, LivingWorldError
from livingworld.identifiers import new_id
from livingworld.inputs import MAX_TTL, MIN_TTL, check_duration, check_label
from livingworld.observability import events, instruments
from livingworld.postgres.leases import Lease
from livingworld.postgres.locks import lock_row
from livingworld.postgres.services import Services
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction

# The time is the one at which the statement began, before any wait for the row: too early, never too late. It is
# compared as the end of the new lease, less its length: Citus takes no clock in a conflict. The length is in seconds.
_TAKE: Final = """
    INSERT INTO livingworld.leases AS l (world_id, name, token, owner, expires_at)
    VALUES ($1, $2, 1, $3, now() + make_interval(secs => $4))
    ON CONFLICT ON CONSTRAINT pk_leases DO UPDATE
    SET token = l.token + 1, owner = excluded.owner, expires_at = excluded.expires_at
    WHERE l.owner IS NULL OR excluded.expires_at - l.expires_at >= make_interval(secs => $4)
        OR l.owner = excluded.owner
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
    """A lease that is held."""

    name: str
    #: Rises with every holding of this name: a writer elsewhere can compare it there.
    token: int
    #: Set when the lease is lost, or may be.
    lost: asyncio.Event = field(repr=False)
    _owner: UUID = field(repr=False)

    async def check(self, tx: Transaction) -> None:
        """Prove in a writing transaction that the lease is still held, and keep it so until the transaction ends.

        It locks the lease's row; called first it waits for it, later it raises LockOrderViolation where it is held.
        Raises Fenced when another holder has had it since.
        """
        row = await lock_row(tx, LockKind.LEASE, leases, {"world_id": tx.world_id, "name": self.name})
        if row is None or row.token != self.token or row.owner is None or row.owner.int != self._owner.int:
            raise Fenced(lease=self.name, token=self.token)


class Leases:
    """The leases of one world."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @asynccontextmanager
    async def hold(self, name: str, *, ttl: timedelta = timedelta(seconds=30)) -> AsyncIterator[HeldLease]:
        """Hold a lease while the block runs, renewed in the background; no transaction and no connection is held.

        Raises LeaseHeld at once when another holds it. When the process dies it is free after `ttl`, by the database's
        clock. `lost` is set when the holder may have lost it, and `check` is Fenced for a holder that was paused.
        """
        checked = check_label("name", name)
        length = check_duration("ttl", ttl, minimum=MIN_TTL, maximum=MAX_TTL)
        owner, asked_at = UUID(int=new_id().int), asyncio.get_running_loop().time()
        renewing: Lease | None = None
        try:
            token = await self._services.unit.write_single_idempotent(_take, checked, owner, length)
            renewing = self._keep(checked, owner, length, asked_at)
            yield HeldLease(checked, token, renewing.lost, owner)
        finally:
            if renewing is not None:
                renewing.end()
            await asyncio.shield(self._services.tasks.finish(self._release(checked, owner)))

    def _keep(self, name: str, owner: UUID, length: timedelta, asked_at: float) -> Lease:
        renew = partial(self._services.background.write_single_idempotent, _renew, name, owner, length)
        count = partial(self._services.metrics.add, instruments.LEASE_RENEWALS, 1, "lease")
        return Lease(renew, length=length, asked_at=asked_at, start=self._services.tasks.watch, count=count)

    async def _release(self, name: str, owner: UUID) -> None:
        """Give the lease back if this holder has it; when the server is away it ends by itself."""
        try:
            await self._services.background.write_single_idempotent(_give_back, name, owner)
        except LivingWorldError as error:
            events.emit(events.LEASE_NOT_RELEASED, world_id=self._services.world_id, error=type(error).__name__)


async def _take(tx: Transaction, name: str, owner: UUID, length: timedelta) -> int:
    token: int | None = (await tx.execute_text(_TAKE, (tx.world_id, name, owner, length.total_seconds()))).scalar()
    if token is None:
        raise LeaseHeld(lease=name)
    return token


async def _renew(tx: Transaction, name: str, owner: UUID, length: timedelta) -> bool:
    return (await tx.execute_text(_RENEW, (tx.world_id, name, owner, length))).first() is not None


async def _give_back(tx: Transaction, name: str, owner: UUID) -> None:
    await tx.execute_text(_RELEASE, (tx.world_id, name, owner))
