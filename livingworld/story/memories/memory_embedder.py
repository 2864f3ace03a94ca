"""The lock on which embedder a world has: shared to write or remove memories, exclusive to change the embedder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy import select

from livingworld.postgres.locks import in_order
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.memories.tables import memory_embedders

_SHARED: Final = 0
_EXCLUSIVE: Final = 1


@asynccontextmanager
async def sharing_embedder(tx: Transaction) -> AsyncIterator[None]:
    """Let a statement in the block share the lock; raises LockOrderViolation instead of waiting out of order."""
    key = (str(tx.world_id), _SHARED)
    async with in_order(tx, LockKind.MEMORY, key):
        yield
    tx.lock_order.hold(LockKind.MEMORY, key)


async def share_embedder(tx: Transaction) -> None:
    """Share the lock, and the row of the embedder, until the transaction ends: for a caller that removes memories."""
    shared = select(memory_embedders.c.world_id).where(memory_embedders.c.world_id == tx.world_id)
    async with sharing_embedder(tx):
        await tx.execute(shared.with_for_update(read=True))


@asynccontextmanager
async def changing_embedder(tx: Transaction) -> AsyncIterator[None]:
    """Let statements in the block take the lock exclusively, which is only tried where this transaction shares it."""
    shared, exclusive = (str(tx.world_id), _SHARED), (str(tx.world_id), _EXCLUSIVE)
    held = tx.lock_order.held(LockKind.MEMORY)
    async with in_order(tx, LockKind.MEMORY, exclusive, upgrade=shared in held and exclusive not in held):
        yield
    tx.lock_order.hold(LockKind.MEMORY, exclusive)
