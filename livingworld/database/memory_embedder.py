"""The lock on which embedder a world has: shared by who writes or removes memories, alone for who changes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from livingworld.database.lock_order import LockKind
from livingworld.database.locks import in_order
from livingworld.database.transaction import Transaction

_SHARED: Final = 0
_ALONE: Final = 1


@asynccontextmanager
async def sharing_embedder(tx: Transaction, world_id: UUID) -> AsyncIterator[None]:
    """Let a statement in the block share the lock; raises LockOrderViolation instead of waiting out of order."""
    key = (str(world_id), _SHARED)
    async with in_order(tx, LockKind.MEMORY, key):
        yield
    tx.lock_order.hold(LockKind.MEMORY, key)


@asynccontextmanager
async def changing_embedder(tx: Transaction, world_id: UUID) -> AsyncIterator[None]:
    """Let statements in the block take the lock alone, which is only tried where this transaction shares it."""
    shared, alone = (str(world_id), _SHARED), (str(world_id), _ALONE)
    held = tx.lock_order.held(LockKind.MEMORY)
    async with in_order(tx, LockKind.MEMORY, alone, upgrade=shared in held and alone not in held):
        yield
    tx.lock_order.hold(LockKind.MEMORY, alone)
