"""Putting commands into their lanes: at once behind what waits there, or as a policy decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, func, insert, select, update

from livingworld.coordination.actions.conflict_policy import ConflictPolicy, Verdict
from livingworld.coordination.actions.locking import enter_lanes, lock_lane, refuse_vanished
from livingworld.coordination.actions.records import Action, Decision, make_action
from livingworld.coordination.actions.tables import actions
from livingworld.coordination.actions.telling import action_topic, actions_topic
from livingworld.errors import QueueFull
from livingworld.inputs import canonical_json, check_json_object
from livingworld.postgres.transactions.transaction import Transaction

_ENQUEUE: Final = "SELECT * FROM livingworld.enqueue_actions_v1($1, $2)"
_SETTLE: Final = "SELECT livingworld.refresh_lane_head_v1($1, $2, $3, $4, $5)"
_STATES: Final[dict[Decision, str]] = {
    "queue": "waiting",
    "replace": "waiting",
    "merge": "merged",
    "reject": "rejected",
}


@dataclass(frozen=True, slots=True)
class _Present:
    id: UUID
    kind: str
    state: str


async def enqueue(tx: Transaction, world_id: UUID, rows: Sequence[dict[str, Any]]) -> list[Action | QueueFull]:
    """Put commands behind what waits in their lanes; return each as it is stored, or why it is not.

    One statement, and a second where one is not stored.
    """
    await enter_lanes(tx, world_id, {row["lane"] for row in rows})
    stored = await tx.execute_text(_ENQUEUE, (world_id, canonical_json(rows)))
    tx.notify_after_commit(actions_topic(world_id))
    found = {UUID(int=row.action_id.int): row for row in stored}
    results = [_result(found[UUID(row["action_id"])], row["lane"]) for row in rows]
    if full := [row["lane"] for row, result in zip(rows, results, strict=True) if isinstance(result, QueueFull)]:
        await refuse_vanished(tx, world_id, full[0])
    return results


async def enqueue_decided(tx: Transaction, world_id: UUID, row: dict[str, Any], policy: ConflictPolicy) -> Action:
    """Do with a command what the policy says, and return it; raises QueueFull. Locks the lane."""
    lane = await lock_lane(tx, world_id, row["lane"])
    known = (await tx.execute(select(actions).where(*_of(world_id, [UUID(row["action_id"])])))).one_or_none()
    if known is not None:
        return make_action(known)
    present = await _present(tx, world_id, row["lane"])
    verdict = policy.decide(row["kind"], present)
    at = await tx.scalar(select(func.clock_timestamp()))
    number, queues = lane.last_number + 1, verdict.decision in ("queue", "replace")
    leaving = sum(
        each.state == "waiting" and each.id in verdict.by for each in present if verdict.decision == "replace"
    )
    if queues and lane.waiting - leaving >= lane.max_waiting:
        raise QueueFull(lane=row["lane"])
    if verdict.decision == "replace":
        await _take_out(tx, world_id, verdict.by, number, at)
    elif verdict.decision == "merge":
        await _merge(tx, world_id, verdict.by[0], row["payload"], policy)
    stored = await _insert(tx, world_id, row, verdict, number, at)
    for topic in (actions_topic(world_id), *map(action_topic, verdict.by)):
        tx.notify_after_commit(topic)
    await tx.execute_text(_SETTLE, (world_id, row["lane"], at, number, queues - leaving))
    return stored


async def _present(tx: Transaction, world_id: UUID, lane: str) -> list[_Present]:
    """Return what runs in a lane and then what waits, in its order."""
    statement = (
        select(actions.c.action_id, actions.c.kind, actions.c.state)
        .where(actions.c.world_id == world_id, actions.c.lane == lane, actions.c.state.in_(("running", "waiting")))
        .order_by(actions.c.state, actions.c.priority.desc(), actions.c.number)
    )
    return [_Present(UUID(int=each.action_id.int), each.kind, each.state) for each in await tx.execute(statement)]


async def _take_out(tx: Transaction, world_id: UUID, ids: Sequence[UUID], number: int, at: datetime) -> None:
    """End those that wait and ask those that run to stop."""
    runs = actions.c.state == "running"
    asked = (
        update(actions)
        .where(*_of(world_id, ids), runs)
        .values(
            cancel_requested_at=func.coalesce(actions.c.cancel_requested_at, at),
            cancel_reason=func.coalesce(actions.c.cancel_reason, "replaced"),
        )
    )
    await tx.execute(asked)
    ended = {"state": "replaced", "ended_at": at, "ended_number": number}
    await tx.execute(update(actions).where(*_of(world_id, ids), ~runs).values(**ended))


async def _merge(tx: Transaction, world_id: UUID, target: UUID, new: Any, policy: ConflictPolicy) -> None:  # noqa: ANN401
    waiting = await tx.scalar(select(actions.c.payload).where(*_of(world_id, [target])))
    both = check_json_object("the merged payload", policy.merge(waiting, new))
    await tx.execute(update(actions).where(*_of(world_id, [target])).values(payload=both))


async def _insert(
    tx: Transaction, world_id: UUID, row: dict[str, Any], verdict: Verdict, number: int, at: datetime
) -> Action:
    over = _STATES[verdict.decision] != "waiting"
    values = {
        **{name: row[name] for name in ("lane", "kind", "payload", "priority", "max_attempts")},
        "world_id": world_id,
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
    """Return a time as `check_action` told it."""
    if absolute in row:
        return datetime.fromisoformat(row[absolute])
    return at + timedelta(microseconds=row[relative]) if relative in row else None


def _result(row: Row[Any], lane: str) -> Action | QueueFull:
    return QueueFull(lane=lane) if row.lane is None else make_action(row)


def _of(world_id: UUID, ids: Sequence[UUID]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (actions.c.world_id == world_id, actions.c.action_id.in_(ids))
