"""Actions: commands that are queued in lanes, claimed one at a time, and ended once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select, update

from livingworld.coordination.actions import action_writing, enqueuing
from livingworld.coordination.actions.claiming import ActionClaims
from livingworld.coordination.actions.conflict_policy import ConflictPolicy, check_policy
from livingworld.coordination.actions.locking import lock_lane, read_action
from livingworld.coordination.actions.new_action import check_action, check_actions
from livingworld.coordination.actions.records import Action, Decision, LaneSize, NewAction, When
from livingworld.coordination.actions.rows import make_action
from livingworld.coordination.actions.tables import actions, lanes
from livingworld.errors import QueueFull
from livingworld.inputs import check_duration, check_integer, check_label, check_optional_text, check_uuid
from livingworld.postgres.idempotency import CreateRequest
from livingworld.postgres.keyset import Page, check_limit, number_cursor, page_by
from livingworld.postgres.removal import remove_old
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction


class ActionRepository(ActionClaims):
    """The actions of one world. Every write locks the lane's row, which comes last in the order of locks."""

    async def enqueue(  # noqa: PLR0913 - options of one call, by name
        self,
        lane: str,
        kind: str,
        payload: Mapping[str, Any] | None = None,
        *,
        priority: int = 0,
        deadline: When | None = None,
        not_before: When | None = None,
        max_attempts: int = 5,
        conflict: Decision | ConflictPolicy = "queue",
        id: UUID | None = None,  # noqa: A002 - it is the action's id
        request_key: str | None = None,
    ) -> Action:
        """Give a command to a lane and return it, with what was decided about it.

        `conflict` decides what becomes of it when something runs or waits there: one decision for all, or a policy,
        which is asked under the lane's lock and must not wait. A command that it rejects is stored and returned, in the
        state "rejected", as from `enqueue_many`. Given an `id`, the same call again returns what is stored. With a
        `request_key` a repetition returns the action as it is now, whatever `conflict` says, or raises ActionNotFound
        when it was forgotten; other arguments under the same key are RequestKeyReused. Raises QueueFull, then nothing
        is stored.
        """
        action = NewAction(
            lane,
            kind,
            {} if payload is None else payload,
            priority=priority,
            deadline=deadline,
            not_before=not_before,
            max_attempts=max_attempts,
            id=id,
        )
        if request_key is not None:
            return await self._store_once(action, conflict, request_key)
        (result,) = await self._store([check_action(action)], conflict)
        if isinstance(result, QueueFull):
            raise result
        return result

    async def enqueue_many(
        self, actions: Sequence[NewAction], *, conflict: Decision | ConflictPolicy = "queue"
    ) -> tuple[Action | QueueFull, ...]:
        """Give commands to their lanes, each after those before it, and return what became of each, in their order.

        One whose lane is full comes back as QueueFull and leaves the others alone. One that cannot be stored raises
        InvalidInput with its place, and nothing is stored. The same call again stores nothing twice where the actions
        have ids. One round trip for `conflict="queue"` unless a lane is full.
        """
        return await self._store(check_actions(actions), conflict)

    async def _store_once(self, action: NewAction, conflict: Decision | ConflictPolicy, request_key: str) -> Action:
        row, policy = check_action(action), check_policy(conflict)
        arguments = {**row, "action_id": None if action.id is None else row["action_id"]}
        request = CreateRequest.of(request_key, LockKind.LANE, "actions.enqueue", arguments)
        decided = None if conflict == "queue" else policy
        return await self._unit.write_idempotent(enqueuing.enqueue_once, row, decided, request)

    async def _store(
        self, rows: Sequence[dict[str, Any]], conflict: Decision | ConflictPolicy
    ) -> tuple[Action | QueueFull, ...]:
        policy = check_policy(conflict)
        if not rows:
            return ()
        if conflict == "queue":
            return tuple(await self._unit.write_single_idempotent(enqueuing.enqueue, rows))
        return tuple(await self._unit.write_idempotent(enqueuing.enqueue_all_decided, rows, policy))

    async def cancel(self, action_id: UUID, *, reason: str | None = None) -> Action:
        """End an action that waits, or ask its worker to stop, and return it.

        Raises ActionNotFound, ActionEnded, and AlreadyCancelling when that was asked before.
        """
        key, checked = check_uuid("action_id", action_id), check_optional_text("reason", reason)
        return await self._unit.write(action_writing.cancel, key, checked)

    async def get(self, action_id: UUID) -> Action:
        """Return an action, over or not; raises ActionNotFound. No lock."""
        return await self._unit.read(read_action, check_uuid("action_id", action_id))

    async def size(self, lane: str | None = None) -> LaneSize:
        """Return how much waits and runs in a lane, or in all; zero in a lane that was never used. No lock."""
        return await self._unit.read(_size, None if lane is None else check_label("lane", lane))

    async def peek(self, lane: str, *, limit: int = 50) -> tuple[Action, ...]:
        """Return what waits in a lane, in its order, also what is not due yet; empty when nothing does. No lock."""
        return await self._unit.read(_peek, check_label("lane", lane), check_limit(limit))

    async def commands(self, lane: str, *, after: str | None = None, limit: int = 50) -> Page[Action]:
        """Return a page of all that was ever given to a lane and is not forgotten, in the order it came. No lock."""
        number = 0 if after is None else number_cursor(after)
        return await self._unit.read(_commands, check_label("lane", lane), number, check_limit(limit))

    async def limit_lane(self, lane: str, max_waiting: int) -> None:
        """Let no more than so many actions wait in a lane; those that are more already stay."""
        key, most = check_label("lane", lane), check_integer("max_waiting", max_waiting, minimum=1)
        await self._unit.write_idempotent(_limit_lane, key, most)

    async def forget(self, lane: str, *, ended_for: timedelta) -> int:
        """Remove what has been over in a lane for so long, and return how much that was."""
        key, age = check_label("lane", lane), check_duration("ended_for", ended_for)
        return await self._unit.write_idempotent(_forget, key, age)


async def remove_ended(tx: Transaction, age: timedelta, limit: int) -> int:
    """Remove at most `limit` actions that ended so long ago, in any lane, and return how many; locks no lane."""
    return await remove_old(tx, actions, actions.c.ended_at, age, limit)


async def _size(tx: Transaction, lane: str | None) -> LaneSize:
    running = func.count().filter(lanes.c.running_until.is_not(None))
    statement = select(func.coalesce(func.sum(lanes.c.waiting), 0).label("waiting"), running.label("running"))
    statement = statement.where(lanes.c.world_id == tx.world_id)
    if lane is not None:
        statement = statement.where(lanes.c.lane == lane)
    row = (await tx.execute(statement)).one()
    return LaneSize(waiting=row.waiting, running=row.running)


async def _peek(tx: Transaction, lane: str, limit: int) -> tuple[Action, ...]:
    statement = select(actions).where(*_in(tx, lane), actions.c.state == "waiting")
    ordered = statement.order_by(actions.c.priority.desc(), actions.c.number).limit(limit)
    return tuple(make_action(row) for row in await tx.execute(ordered))


async def _commands(tx: Transaction, lane: str, after: int, limit: int) -> Page[Action]:
    statement = select(actions).where(*_in(tx, lane), actions.c.number > after)
    rows = await tx.execute(statement.order_by(actions.c.number).limit(limit + 1))
    return page_by([make_action(row) for row in rows], limit, lambda action: action.number)


async def _limit_lane(tx: Transaction, lane: str, max_waiting: int) -> None:
    await lock_lane(tx, lane)
    this = (lanes.c.world_id == tx.world_id, lanes.c.lane == lane)
    await tx.execute(update(lanes).where(*this).values(max_waiting=max_waiting))


async def _forget(tx: Transaction, lane: str, age: timedelta) -> int:
    await lock_lane(tx, lane)
    return (await tx.execute(delete(actions).where(*_in(tx, lane), actions.c.ended_at <= func.now() - age))).rowcount


def _in(tx: Transaction, lane: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (actions.c.world_id == tx.world_id, actions.c.lane == lane)
