"""Actions: commands that are queued in lanes, claimed one at a time, and ended once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update

from livingworld.coordination.actions import ending, enqueuing
from livingworld.coordination.actions.claiming import ActionClaims
from livingworld.coordination.actions.conflict_policy import ConflictPolicy, check_policy
from livingworld.coordination.actions.locking import lock_lane, read_action
from livingworld.coordination.actions.new_action import check_action, check_actions
from livingworld.coordination.actions.records import Action, Decision, LaneSize, NewAction, When, make_action
from livingworld.coordination.actions.tables import actions, lanes
from livingworld.errors import QueueFull
from livingworld.inputs import check_duration, check_integer, check_label, check_optional_text, check_uuid
from livingworld.postgres.keyset import Page, check_limit, number_cursor
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
    ) -> Action:
        """Give a command to a lane and return it, with what was decided about it.

        `conflict` says what is to become of it when something runs or waits there: one decision for all, or a policy,
        which is asked under the lane's lock and must not wait. Given an `id`, the same call again returns what is
        stored. Raises QueueFull, then nothing is stored.
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
        (result,) = await self._store([check_action(action)], conflict)
        if isinstance(result, QueueFull):
            raise result
        return result

    async def enqueue_many(
        self, actions: Sequence[NewAction], *, conflict: Decision | ConflictPolicy = "queue"
    ) -> tuple[Action | QueueFull, ...]:
        """Give commands to their lanes, each after those before it, and return what became of each, in their order.

        One whose lane is full comes back as QueueFull and leaves the others alone. One that cannot be stored raises
        InvalidInput with its place, and nothing is stored. One round trip for `conflict="queue"` unless a lane is full.
        """
        return await self._store(check_actions(actions), conflict)

    async def _store(
        self, rows: Sequence[dict[str, Any]], conflict: Decision | ConflictPolicy
    ) -> tuple[Action | QueueFull, ...]:
        policy = check_policy(conflict)
        if not rows:
            return ()
        if conflict == "queue":
            stored = await self._unit.run(
                lambda tx: enqueuing.enqueue(tx, self._world_id, rows), repeatable=True, single_statement=True
            )
        else:
            stored = await self._unit.run(lambda tx: self._decide(tx, rows, policy), repeatable=True)
        return tuple(stored)

    async def _decide(
        self, tx: Transaction, rows: Sequence[dict[str, Any]], policy: ConflictPolicy
    ) -> list[Action | QueueFull]:
        results: dict[str, Action | QueueFull] = {}
        for row in sorted(rows, key=lambda each: each["lane"]):  # lanes in their order; the sort keeps that within one
            try:
                results[row["action_id"]] = await enqueuing.enqueue_decided(tx, self._world_id, row, policy)
            except QueueFull as full:
                results[row["action_id"]] = full
        return [results[row["action_id"]] for row in rows]

    async def cancel(self, action_id: UUID, *, reason: str | None = None) -> Action:
        """End an action that waits, or ask whoever runs it to stop, and return it.

        Raises ActionNotFound, ActionEnded, and AlreadyCancelling when that was asked before.
        """
        key, told = check_uuid("action_id", action_id), check_optional_text("reason", reason)
        return await self._unit.run(lambda tx: ending.cancel(tx, self._world_id, key, told))

    async def get(self, action_id: UUID) -> Action:
        """Return an action, over or not; raises ActionNotFound. No lock."""
        key = check_uuid("action_id", action_id)
        return await self._unit.run(
            lambda tx: read_action(tx, self._world_id, key), repeatable=True, single_statement=True
        )

    async def size(self, lane: str | None = None) -> LaneSize:
        """Return how much waits and runs in a lane, or in all; nothing in a lane that nobody has used. No lock."""
        running = func.count().filter(lanes.c.running_until.is_not(None))
        statement = select(
            func.coalesce(func.sum(lanes.c.waiting), 0).label("waiting"), running.label("running")
        ).where(lanes.c.world_id == self._world_id)
        if lane is not None:
            statement = statement.where(lanes.c.lane == check_label("lane", lane))

        async def work(tx: Transaction) -> LaneSize:
            row = (await tx.execute(statement)).one()
            return LaneSize(waiting=row.waiting, running=row.running)

        return await self._unit.run(work, repeatable=True, single_statement=True)

    async def peek(self, lane: str, *, limit: int = 50) -> tuple[Action, ...]:
        """Return what waits in a lane, in its order, also what is not due yet; empty when nothing does. No lock."""
        statement = (
            select(actions)
            .where(
                actions.c.world_id == self._world_id,
                actions.c.lane == check_label("lane", lane),
                actions.c.state == "waiting",
            )
            .order_by(actions.c.priority.desc(), actions.c.number)
            .limit(check_limit(limit))
        )

        async def work(tx: Transaction) -> tuple[Action, ...]:
            return tuple(make_action(row) for row in await tx.execute(statement))

        return await self._unit.run(work, repeatable=True, single_statement=True)

    async def commands(self, lane: str, *, after: str | None = None, limit: int = 50) -> Page[Action]:
        """Return a page of all that was ever given to a lane and is not forgotten, in the order it came. No lock."""
        key, most = check_label("lane", lane), check_limit(limit)
        own = (
            actions.c.world_id == self._world_id,
            actions.c.lane == key,
            actions.c.number > (0 if after is None else number_cursor(after)),
        )
        statement = select(actions).where(*own).order_by(actions.c.number).limit(most + 1)

        async def work(tx: Transaction) -> Page[Action]:
            found = [make_action(row) for row in await tx.execute(statement)]
            shown = tuple(found[:most])
            return Page(shown, str(shown[-1].number) if len(found) > most else None)

        return await self._unit.run(work, repeatable=True, single_statement=True)

    async def limit_lane(self, lane: str, max_waiting: int) -> None:
        """Let no more than so many actions wait in a lane; those that are more already stay."""
        key, most = check_label("lane", lane), check_integer("max_waiting", max_waiting, minimum=1)

        async def work(tx: Transaction) -> None:
            await lock_lane(tx, self._world_id, key)
            own = (lanes.c.world_id == self._world_id, lanes.c.lane == key)
            await tx.execute(update(lanes).where(*own).values(max_waiting=most))

        await self._unit.run(work, repeatable=True)

    async def forget(self, lane: str, *, ended_for: timedelta) -> int:
        """Remove what has been over in a lane for so long, and return how much that was."""
        key, age = check_label("lane", lane), check_duration("ended_for", ended_for)
        own = (actions.c.world_id == self._world_id, actions.c.lane == key, actions.c.ended_at <= func.now() - age)

        async def work(tx: Transaction) -> int:
            await lock_lane(tx, self._world_id, key)
            return (await tx.execute(delete(actions).where(*own))).rowcount

        return await self._unit.run(work, repeatable=True)
