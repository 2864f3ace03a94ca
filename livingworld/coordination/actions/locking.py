"""The row of a lane, under which everything of the lane is written. It comes last in the order of locks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert

from livingworld.coordination.actions.records import Action, make_action
from livingworld.coordination.actions.tables import actions, lanes
from livingworld.errors import ActionNotFound, WorldNotFound
from livingworld.postgres.locks import in_order, lock_row, row_order_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction


async def lock_lane(tx: Transaction, world_id: UUID, lane: str) -> Row[Any]:
    """Lock a lane until the transaction ends and return it; it is made when nothing was ever given to it.

    Raises WorldNotFound.
    """
    await _make_lane(tx, world_id, lane)
    row = await lock_row(tx, LockKind.LANE, lanes, lane_key(world_id, lane))
    if row is None:  # lanes are only removed with their world
        raise WorldNotFound(world_id=world_id)
    return row


async def refuse_vanished(tx: Transaction, world_id: UUID, lane: str) -> None:
    """Raise WorldNotFound if a lane is gone with its world: whoever waited for that sees it as full."""
    if await tx.scalar(select(lanes.c.lane).where(lanes.c.world_id == world_id, lanes.c.lane == lane)) is None:
        raise WorldNotFound(world_id=world_id)


async def enter_lanes(tx: Transaction, world_id: UUID, names: Iterable[str]) -> None:
    """Lock those of these lanes for which a statement that locks them must not wait; raises LockOrderViolation."""
    for lane in sorted(set(names)):
        key = row_order_key(lane_key(world_id, lane))
        if tx.lock_order.is_late(LockKind.LANE, key):
            await lock_lane(tx, world_id, lane)
        tx.lock_order.hold(LockKind.LANE, key)


async def _make_lane(tx: Transaction, world_id: UUID, lane: str) -> None:
    """Make a lane that was never used; waits for somebody who is making it."""
    async with in_order(tx, LockKind.LANE, row_order_key(lane_key(world_id, lane))):
        await tx.execute(insert(lanes).values(world_id=world_id, lane=lane).on_conflict_do_nothing())


async def lock_action(tx: Transaction, world_id: UUID, action_id: UUID) -> Action:
    """Lock the lane of an action until the transaction ends and return the action as it is then; or ActionNotFound."""
    lane = await tx.scalar(select(actions.c.lane).where(*_own(world_id, action_id)))
    if lane is None:
        raise ActionNotFound(action_id=action_id)
    await lock_row(tx, LockKind.LANE, lanes, lane_key(world_id, lane))
    return await read_action(tx, world_id, action_id)


async def read_action(tx: Transaction, world_id: UUID, action_id: UUID) -> Action:
    """Return an action; raises ActionNotFound."""
    row = (await tx.execute(select(actions).where(*_own(world_id, action_id)))).one_or_none()
    if row is None:
        raise ActionNotFound(action_id=action_id)
    return make_action(row)


def lane_key(world_id: UUID, lane: str) -> dict[str, object]:
    """Return the key of a lane's row."""
    return {"world_id": world_id, "lane": lane}


def _own(world_id: UUID, action_id: UUID) -> tuple[Any, Any]:
    return (actions.c.world_id == world_id, actions.c.action_id == action_id)
