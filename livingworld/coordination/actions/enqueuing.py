"""Putting commands into their lanes: at once behind what waits there, or as a policy decides."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, func, insert, select, update

from livingworld.coordination.actions.conflict_policy import ConflictPolicy, PresentAction, Verdict
from livingworld.coordination.actions.locking import (
    action_topic,
    actions_topic,
    enter_lanes,
    lock_lane,
    read_action,
    refuse_vanished,
)
from livingworld.coordination.actions.records import Action, Decision
from livingworld.coordination.actions.rows import make_action
from livingworld.coordination.actions.tables import actions
from livingworld.errors import QueueFull
from livingworld.inputs import canonical_json, check_json_object
from livingworld.postgres.idempotency import CreateRequest, create_once
from livingworld.postgres.transactions.transaction import Transaction

_ENQUEUE: Final = "SELECT * FROM livingworld.enqueue_actions_v1($1, $2)"
_REFRESH_HEAD: Final = "SELECT livingworld.refresh_lane_head_v1($1, $2, $3, $4, $5)"
_STATES: Final[dict[Decision, str]] = {
    "queue": "waiting",
    "replace": "waiting",
    "merge": "merged",
    "reject": "rejected",
}


async def enqueue(tx: Transaction, rows: Sequence[dict[str, Any]]) -> list[Action | QueueFull]:
    """Put commands behind what waits in their lanes; return each as it is stored, or the refusal.

    One statement, and a second where one is not stored.
    """
    await enter_lanes(tx, {row["lane"] for row in rows})
    stored = await tx.execute_text(_ENQUEUE, (tx.world_id, canonical_json(rows)))
    tx.notify_after_commit(actions_topic(tx.world_id))
    found = {UUID(int=row.action_id.int): row for row in stored}
    results = [_result(found[UUID(row["action_id"])], row["lane"]) for row in rows]
    if full := [row["lane"] for row, result in zip(rows, results, strict=True) if isinstance(result, QueueFull)]:
        await refuse_vanished(tx, full[0])
    return results


async def enqueue_once(
    tx: Transaction, row: dict[str, Any], policy: ConflictPolicy | None, request: CreateRequest | None
) -> Action:
    """Give a command to its lane, once; None: behind what waits there. Raises QueueFull."""

    async def give() -> Action:
        if policy is not None:
            return await enqueue_decided(tx, row, policy)
        (result,) = await enqueue(tx, [row])
        if isinstance(result, QueueFull):
            raise result
        return result

    async def read(given: str) -> Action:
        return await read_action(tx, UUID(given))

    return await create_once(tx, request, give, read, lambda action: str(action.id))


async def enqueue_all_decided(
    tx: Transaction, rows: Sequence[dict[str, Any]], policy: ConflictPolicy
) -> list[Action | QueueFull]:
    """Do with each command what the policy says, and return each as it is stored, or the refusal. Locks the lanes."""
    results: dict[str, Action | QueueFull] = {}
    for row in sorted(rows, key=lambda each: each["lane"]):  # lanes in their order; the sort keeps that within one
        try:
            results[row["action_id"]] = await enqueue_decided(tx, row, policy)
        except QueueFull as full:
            results[row["action_id"]] = full
    return [results[row["action_id"]] for row in rows]


async def enqueue_decided(tx: Transaction, row: dict[str, Any], policy: ConflictPolicy) -> Action:
    """Do with a command what the policy says, and return it; raises QueueFull. Locks the lane."""
    lane = await lock_lane(tx, row["lane"])
    known = (await tx.execute(select(actions).where(*_of(tx, [UUID(row["action_id"])])))).one_or_none()
    if known is not None:
        return make_action(known)
    present = await _present(tx, row["lane"])
    verdict = policy.decide(row["kind"], present)
    at = await tx.scalar(select(func.clock_timestamp()))
    number, queues = lane.last_number + 1, verdict.decision in ("queue", "replace")
    leaving = sum(
        each.state == "waiting" and each.id in verdict.by for each in present if verdict.decision == "replace"
    )
    if queues and lane.waiting - leaving >= lane.max_waiting:
        raise QueueFull(lane=row["lane"])
    if verdict.decision == "replace":
        await _replace(tx, verdict.by, number, at)
    elif verdict.decision == "merge":
        await _merge(tx, verdict.by[0], row["payload"], policy)
    stored = await _insert(tx, row, verdict, number, at)
    for topic in (actions_topic(tx.world_id), *map(action_topic, verdict.by)):
        tx.notify_after_commit(topic)
    await tx.execute_text(_REFRESH_HEAD, (tx.world_id, row["lane"], at, number, queues - leaving))
    return stored


async def _present(tx: Transaction, lane: str) -> list[PresentAction]:
    """Return what runs in a lane and then what waits, in its order."""
    statement = (
        select(actions.c.action_id, actions.c.kind, actions.c.state)
        .where(actions.c.world_id == tx.world_id, actions.c.lane == lane, actions.c.state.in_(("running", "waiting")))
        .order_by(actions.c.state, actions.c.priority.desc(), actions.c.number)
    )
    return [PresentAction(UUID(int=each.action_id.int), each.kind, each.state) for each in await tx.execute(statement)]


async def _replace(tx: Transaction, ids: Sequence[UUID], number: int, at: datetime) -> None:
    """End those that wait and ask those that run to stop."""
    runs = actions.c.state == "running"
    asked = (
        update(actions)
        .where(*_of(tx, ids), runs)
        .values(
            cancel_requested_at=func.coalesce(actions.c.cancel_requested_at, at),
            cancel_reason=func.coalesce(actions.c.cancel_reason, "replaced"),
        )
    )
    await tx.execute(asked)
    ended = {"state": "replaced", "ended_at": at, "ended_number": number}
    await tx.execute(update(actions).where(*_of(tx, ids), ~runs).values(**ended))


async def _merge(tx: Transaction, target: UUID, new: Any, policy: ConflictPolicy) -> None:  # noqa: ANN401
    waiting = await tx.scalar(select(actions.c.payload).where(*_of(tx, [target])))
    both = check_json_object("the merged payload", policy.merge(waiting, new))
    await tx.execute(update(actions).where(*_of(tx, [target])).values(payload=both))


async def _insert(tx: Transaction, row: dict[str, Any], verdict: Verdict, number: int, at: datetime) -> Action:
    over = _STATES[verdict.decision] != "waiting"
    values = {
        **{name: row[name] for name in ("lane", "kind", "payload", "priority", "max_attempts")},
        "world_id": tx.world_id,
        "action_id": UUID(row["action_id"]),
        "number": number,
        "not_before": _time(row, "not_before", "runs_after", at),
        "deadline": _time(row, "deadline", "expires_after", at),
        "state": _STATES[verdict.decision],
        "decision": verdict.decision,
        "decided_by": list(verdict.by),
        "created_at": at,
        "ended_at": at if over else None,
        "ended_number": number if over else None,
    }
    return make_action((await tx.execute(insert(actions).values(**values).returning(actions))).one())


def _time(row: dict[str, Any], absolute: str, relative: str, at: datetime) -> datetime | None:
    """Return a time as `check_action` gave it."""
    if absolute in row:
        return datetime.fromisoformat(row[absolute])
    return at + timedelta(microseconds=row[relative]) if relative in row else None


def _result(row: Row[Any], lane: str) -> Action | QueueFull:
    return QueueFull(lane=lane) if row.lane is None else make_action(row)


def _of(tx: Transaction, ids: Sequence[UUID]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (actions.c.world_id == tx.world_id, actions.c.action_id.in_(ids))
