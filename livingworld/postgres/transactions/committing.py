"""The last steps of a unit that is a transaction of several statements."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from livingworld.postgres.transactions.replication import wait_for_standbys
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit import Phase, Unit

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


async def commit(unit: Unit[Any], tx: Transaction, connection: AsyncConnection) -> None:
    """Commit, unless something failed that the work swallowed; notes in the unit how far it came."""
    unit.phase = Phase.CHECKING
    tx.refuse_if_it_met_a_lock()
    await tx.refuse_if_poisoned()
    tx.refuse_if_lost()
    await tx.store_all()
    if unit.commit_was_lost:
        await wait_for_standbys(tx)
    unit.phase = Phase.COMMITTING
    began = perf_counter()
    await connection.commit()
    if tx.meter is not None:
        tx.meter.answered("COMMIT", began, tx.call)
    unit.phase = Phase.COMMITTED
