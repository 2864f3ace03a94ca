"""The worlds whose rows a look sees: all at once, or one after the other where a transaction sees one only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Final
from uuid import UUID

from sqlalchemy import text

from livingworld.postgres.connections.scope import SET_SCOPE, scope_of
from livingworld.postgres.transactions.transaction import Transaction

#: So many worlds are looked at one by one, the newest first.
_MOST_WORLDS: Final = 1_000
_WORLDS: Final = text("SELECT w.world_id FROM livingworld.worlds w ORDER BY w.world_id DESC LIMIT :most")


async def seen_worlds(tx: Transaction, chosen: Collection[UUID] | None = None) -> AsyncIterator[None]:
    """Yield once for all worlds; under row-level security once in the scope of each: the chosen ones, or the newest."""
    if tx.scope is None:
        yield
        return
    if chosen is None:
        chosen = [UUID(int=row.world_id.int) for row in await tx.execute(_WORLDS, {"most": _MOST_WORLDS})]
    for world_id in chosen:
        await tx.execute(SET_SCOPE, scope_of(world_id, None)._asdict())
        yield
    await tx.execute(SET_SCOPE, scope_of(None, None)._asdict())
