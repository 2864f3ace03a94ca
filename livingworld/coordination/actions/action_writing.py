"""The writes on one action: its worker ends, releases or extends it, and any caller cancels it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select, update

from livingworld.coordination.actions.locking import action_topic, actions_topic, enter_lanes, lock_action, read_action
from livingworld.coordination.actions.records import Action
from livingworld.coordination.actions.tables import actions, lanes
from livingworld.errors import (
    ActionEnded,
    ActionExpired,
    ActionNotFound,
    ActionSuperseded,
    AlreadyCancelling,
    LivingWorldError,
)
from livingworld.inputs import canonical_json
from livingworld.postgres.transactions.transaction import Transaction

_COMPLETE: Final = "SELECT livingworld.complete_action_v1($1, $2, $3, $4)"
_STOP: Final = "SELECT livingworld.stop_action_v1($1, $2, $3, $4, $5, $6, $7, $8)"
_REFUSALS: Final[dict[str, type[LivingWorldError]]] = {
    "superseded": ActionSuperseded,
    "expired": ActionExpired,
    "unknown": ActionNotFound,
}


async def complete(tx: Transaction, action: Action, result: object) -> None:
    """End a claimed action as done; the same claim's second call changes nothing. One statement, locks the lane."""
    await enter_lanes(tx, [action.lane])
    json = None if result is None else canonical_json(result)
    row = await tx.execute_text(_COMPLETE, (tx.world_id, action.id, action.token, json))
    if (refusal := _REFUSALS.get(row.scalar_one())) is not None:
        raise refusal(action_id=action.id)


async def fail(
    tx: Transaction, action: Action, error: str, retry_in: timedelta, *, finally_: bool = False, counted: bool = True
) -> Action:
    """Let an attempt fail: the action waits again for so long, or has failed when this was its last attempt.

    One that is not counted waits again in any case.
    """
    now = await _lock_own(tx, action)
    at = await _clock(tx)
    if now.cancel_requested_at is not None:
        return await _stop(tx, now, "cancelled", at, error=error)
    if counted and (now.attempts >= now.max_attempts or finally_):
        return await _stop(tx, now, "failed", at, error=error)
    return await _stop(tx, now, "waiting", at, error=error, not_before=at + retry_in, attempts=0 if counted else -1)


async def release(tx: Transaction, action: Action) -> Action:
    """Give an action back as if it had not been claimed; it waits at its place again, unless it was to be stopped."""
    now = await _lock_own(tx, action)
    if now.cancel_requested_at is not None:
        return await _stop(tx, now, "cancelled", await _clock(tx))
    return await _stop(tx, now, "waiting", await _clock(tx), attempts=-1)


async def uncount(tx: Transaction, action: Action) -> None:
    """Let a claim that its worker lost, since the server was away, not count as an attempt; it does nothing again.

    A claim that still stands is given back. One that has ended the action changes nothing.
    """
    now = await lock_action(tx, action.id)
    if now.state == "running" and now.token == action.token:
        await release(tx, action)
        return
    lapsed = actions.c.lapsed_tokens
    own = (actions.c.world_id == tx.world_id, actions.c.action_id == action.id)
    counted = update(actions).where(
        *own, actions.c.ended_at.is_(None), func.array_position(lapsed, action.token).is_not(None)
    )
    values = {"attempts": actions.c.attempts - 1, "lapsed_tokens": func.array_remove(lapsed, action.token)}
    await tx.execute(counted.values(**values))


async def stop(tx: Transaction, action: Action) -> Action:
    """End a claimed action as cancelled, since its worker was asked to stop, or has stopped."""
    now = await _lock_own(tx, action)
    return await _stop(tx, now, "cancelled", await _clock(tx))


async def expire(tx: Transaction, action: Action) -> bool:
    """End a claimed action as expired if its deadline is over, and return whether it has ended so."""
    now = await lock_action(tx, action.id)
    at = await _clock(tx)
    if now.state == "running" and now.token == action.token and now.deadline is not None and now.deadline <= at:
        now = await _stop(tx, now, "expired", at)
    return now.state == "expired"


async def extend(tx: Transaction, action: Action, ttl: timedelta) -> Action:
    """Let a claim hold for so long from now on, and return the action, which shows whether it is asked to stop."""
    now = await _lock_own(tx, action)
    until = await _clock(tx) + ttl
    own = (actions.c.world_id == tx.world_id, actions.c.action_id == action.id)
    await tx.execute(update(actions).where(*own).values(claimed_until=until))
    lane = (lanes.c.world_id == tx.world_id, lanes.c.lane == now.lane)
    await tx.execute(update(lanes).where(*lane).values(running_until=func.least(until, now.deadline)))
    return await read_action(tx, action.id)


async def cancel(tx: Transaction, action_id: UUID, reason: str | None) -> Action:
    """End an action that waits, or ask its worker to stop; see ActionRepository.cancel."""
    now = await lock_action(tx, action_id)
    if now.ended_at is not None:
        raise ActionEnded(action_id=action_id, state=now.state)
    if now.cancel_requested_at is not None:
        raise AlreadyCancelling(action_id=action_id)
    at = await _clock(tx)
    own = (actions.c.world_id == tx.world_id, actions.c.action_id == action_id)
    await tx.execute(update(actions).where(*own).values(cancel_requested_at=at, cancel_reason=reason))
    tx.notify_after_commit(action_topic(action_id))
    if now.state == "waiting":
        return await _stop(tx, now, "cancelled", at)
    return await read_action(tx, action_id)


async def _lock_own(tx: Transaction, action: Action) -> Action:
    """Lock the lane of a claimed action and return the action; raises ActionSuperseded when the claim is over."""
    now = await lock_action(tx, action.id)
    if now.state != "running" or now.token != action.token:
        raise ActionSuperseded(action_id=action.id)
    return now


async def _clock(tx: Transaction) -> datetime:
    at: datetime = await tx.scalar(select(func.clock_timestamp()))
    return at


async def _stop(
    tx: Transaction,
    action: Action,
    state: str,
    at: datetime,
    *,
    not_before: datetime | None = None,
    attempts: int = 0,
    error: str | None = None,
) -> Action:
    tx.notify_after_commit(actions_topic(tx.world_id))  # the lane may have a next one
    values: tuple[Any, ...] = (tx.world_id, action.id, state, at, not_before, attempts, error, None)
    await tx.execute_text(_STOP, values)
    return await read_action(tx, action.id)
