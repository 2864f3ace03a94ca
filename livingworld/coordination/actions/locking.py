"""The row of a lane, under which everything of the lane is written, last in the order of locks; and its topics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert

from livingworld.coordination.actions.records import Action
from livingworld.coordination.actions.rows import make_action
from livingworld.coordination.actions.tables import actions, lanes
from livingworld.errors import ActionNotFound, WorldNotFound
from livingworld.postgres.compiled_text import select_row
from livingworld.postgres.locks import in_order, lock_row, row_order_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction


def actions_topic(world_id: UUID) -> str:
    """Return the topic that is notified of new work of a world."""
    return f"actions:{world_id}"


def action_topic(action_id: UUID) -> str:
    """Return the topic that is notified when something is asked of an action's worker."""
    return f"action:{action_id}"


async def lock_lane(tx: Transaction, lane: str) -> Row[Any]:
    """Lock a lane until the transaction ends and return it; a lane that was never used is made.

    Raises WorldNotFound.
    """
    await _make_lane(tx, lane)
    row = await lock_row(tx, LockKind.LANE, lanes, lane_key(tx, lane))
    if row is None:  # lanes are only removed with their world
        raise WorldNotFound(world_id=tx.world_id)
    return row


async def refuse_vanished(tx: Transaction, lane: str) -> None:
    """Raise WorldNotFound if a lane is gone with its world: a statement that waited for that reports it as full."""
    if await tx.scalar(select(lanes.c.lane).where(lanes.c.world_id == tx.world_id, lanes.c.lane == lane)) is None:
        raise WorldNotFound(world_id=tx.world_id)


async def enter_lanes(tx: Transaction, names: Iterable[str]) -> None:
    """Lock those of these lanes for which a statement that locks them must not wait; raises LockOrderViolation."""
    for lane in sorted(set(names)):
        key = row_order_key(lane_key(tx, lane))
        if tx.lock_order.is_late(LockKind.LANE, key):
            await lock_lane(tx, lane)
        tx.lock_order.hold(LockKind.LANE, key)


async def _make_lane(tx: Transaction, lane: str) -> None:
    """Make a lane that was never used; waits for another transaction that is making it."""
    async with in_order(tx, LockKind.LANE, row_order_key(lane_key(tx, lane))):
        await tx.execute(insert(lanes).values(world_id=tx.world_id, lane=lane).on_conflict_do_nothing())


async def lock_action(tx: Transaction, action_id: UUID) -> Action:
    """Lock the lane of an action until the transaction ends and return the action as it is then; or ActionNotFound."""
    lane = await tx.scalar(select(actions.c.lane).where(*_own(tx, action_id)))
    if lane is None:
        raise ActionNotFound(action_id=action_id)
    await lock_row(tx, LockKind.LANE, lanes, lane_key(tx, lane))
    return await read_action(tx, action_id)


async def read_action(tx: Transaction, action_id: UUID) -> Action:
    """Return an action; raises ActionNotFound."""
    row = (await tx.execute_text(*select_row(actions).bind(world_id=tx.world_id, action_id=action_id))).one_or_none()
    if row is None:
        raise ActionNotFound(action_id=action_id)
    return make_action(row)


def lane_key(tx: Transaction, lane: str) -> dict[str, object]:
    """Return the key of a lane's row."""
    return {"world_id": tx.world_id, "lane": lane}


def _own(tx: Transaction, action_id: UUID) -> tuple[Any, Any]:
    return (actions.c.world_id == tx.world_id, actions.c.action_id == action_id)
