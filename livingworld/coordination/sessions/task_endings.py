"""How tasks end: by their owner, by force, or because the owner is dead. The session's row is locked in every case.

Whoever ends a task that is not its own raises the token, so that the owner is refused whatever it brings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, func, select, update

from livingworld.coordination.sessions.locking import lock_session, task_topic
from livingworld.coordination.sessions.records import Task, make_task
from livingworld.coordination.sessions.tables import RUNS, tasks
from livingworld.errors import AlreadyCancelling, SessionNotFound, TaskEnded, TaskNotFound, TaskSuperseded
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit
from livingworld.observability import events
from livingworld.postgres.transactions.transaction import Transaction

OWNER_DEAD: Final = "the owner was not heard of"
#: An owner that was not heard of for longer than its task allows.
DEAD: Final = and_(RUNS, tasks.c.heartbeat_at + tasks.c.dead_after < func.now())


async def find_task(tx: Transaction, world_id: UUID, task_id: UUID) -> Task:
    """Return a task; raises TaskNotFound."""
    row = (
        await tx.execute(select(tasks).where(tasks.c.world_id == world_id, tasks.c.task_id == task_id))
    ).one_or_none()
    if row is None:
        raise TaskNotFound(task_id=task_id)
    return make_task(row)


async def write_as_owner(tx: Transaction, world_id: UUID, task: Task, values: Mapping[str, Any]) -> Task:
    """Change a task that runs and is still the owner's; else raise TaskSuperseded, also when its session is gone.

    The same ending again changes nothing: only the owner ends a task under its token.
    """
    try:
        await lock_session(tx, world_id, task.session_id)
    except SessionNotFound:
        raise TaskSuperseded(task_id=task.id) from None
    if (row := await _write(tx, world_id, task.id, values, tasks.c.token == task.token)) is not None:
        if row.state != "running":
            tx.notify_after_commit(task_topic(task.id))
        _publish_own(tx, task, values)
        return make_task(row)
    owns = (tasks.c.world_id == world_id, tasks.c.task_id == task.id, tasks.c.token == task.token)
    ended = (await tx.execute(select(tasks).where(*owns, tasks.c.state == values.get("state")))).one_or_none()
    if ended is None:
        raise TaskSuperseded(task_id=task.id)
    return make_task(ended)


async def request_cancel(tx: Transaction, world_id: UUID, task_id: UUID, reason: str | None) -> Task:
    """Ask the owner of a task to stop; raises TaskNotFound, TaskEnded, AlreadyCancelling."""
    known = await find_task(tx, world_id, task_id)
    try:
        await lock_session(tx, world_id, known.session_id)
    except SessionNotFound:
        raise TaskNotFound(task_id=task_id) from None
    values = {"cancel_requested_at": func.now(), "cancel_reason": reason}
    row = await _write(tx, world_id, task_id, values, tasks.c.cancel_requested_at.is_(None))
    if row is None:
        known = await find_task(tx, world_id, task_id)
        raise AlreadyCancelling(task_id=task_id) if known.state == "running" else TaskEnded(state=known.state)
    tx.log_after_commit(events.TASK_CANCEL_REQUESTED, world_id=world_id, task_id=task_id)
    tx.notify_after_commit(task_topic(task_id))
    publish_at_commit(tx, known.session_id, LiveKind.TASK_CANCEL_REQUESTED, task_id=task_id)
    return make_task(row)


async def take_over(tx: Transaction, world_id: UUID, task: Task) -> Task | None:
    """Make the caller the owner of a task whose owner is dead, or return None when it is not, or must not be had."""
    try:
        await lock_session(tx, world_id, task.session_id)
    except SessionNotFound:
        return None
    row = await _write(
        tx,
        world_id,
        task.id,
        {"token": tasks.c.token + 1, "heartbeat_at": func.now()},
        and_(DEAD, tasks.c.when_owner_dies == "take_over"),
    )
    if row is None:
        return None
    tx.log_after_commit(events.TASK_TAKEN_OVER, world_id=world_id, task_id=task.id, token=row.token)
    tx.notify_after_commit(task_topic(task.id))
    publish_at_commit(tx, task.session_id, LiveKind.TASK_TAKEN_OVER, task_id=task.id)
    return make_task(row)


async def fail_dead(tx: Transaction, world_id: UUID, task: Task) -> Task | None:
    """Let a task fail whose owner is dead, under its session's lock; None when it is not, or must be taken over."""
    values = {"state": "failed", "error": OWNER_DEAD, "ended_at": func.now(), "token": tasks.c.token + 1}
    row = await _write(tx, world_id, task.id, values, and_(DEAD, tasks.c.when_owner_dies == "fail"))
    if row is None:
        return None
    tx.log_after_commit(events.TASK_OWNER_DEAD, world_id=world_id, task_id=task.id)
    tx.notify_after_commit(task_topic(task.id))
    publish_at_commit(tx, task.session_id, LiveKind.TASK_ENDED, task_id=task.id, state=row.state)
    return make_task(row)


async def cancel_all(tx: Transaction, world_id: UUID, session_id: UUID, reason: str) -> int:
    """End everything that runs in a session that is locked, and return how much that is; the owners are notified."""
    values = {
        "state": "cancelled",
        "token": tasks.c.token + 1,
        "cancel_requested_at": func.coalesce(tasks.c.cancel_requested_at, func.now()),
        "cancel_reason": func.coalesce(tasks.c.cancel_reason, reason),
        "ended_at": func.now(),
        "updated_at": func.now(),
    }
    of_session = (tasks.c.world_id == world_id, tasks.c.session_id == session_id, RUNS)
    ended = await tx.execute(update(tasks).where(*of_session).values(**values).returning(tasks.c.task_id))
    ids = [UUID(int=row.task_id.int) for row in ended]
    for task_id in ids:
        tx.notify_after_commit(task_topic(task_id))
        publish_at_commit(tx, session_id, LiveKind.TASK_ENDED, task_id=task_id, state="cancelled")
    return len(ids)


async def dead_tasks(tx: Transaction, world_id: UUID, policy: str, kind: str | None, limit: int) -> list[Task]:
    """Return tasks whose owners seem dead, in the order in which their sessions may be locked; no lock."""
    wanted = [tasks.c.world_id == world_id, DEAD, tasks.c.when_owner_dies == policy]
    if kind is not None:
        wanted.append(tasks.c.kind == kind)
    statement = select(tasks).where(*wanted).order_by(tasks.c.heartbeat_at).limit(limit)
    found = [make_task(row) for row in await tx.execute(statement)]
    return sorted(found, key=lambda task: (task.session_id, task.id))


def _publish_own(tx: Transaction, task: Task, values: Mapping[str, Any]) -> None:
    """Publish what an owner wrote; that it lives is nothing to tell."""
    if "state" in values:
        publish_at_commit(tx, task.session_id, LiveKind.TASK_ENDED, task_id=task.id, state=values["state"])
    elif "progress" in values:
        publish_at_commit(tx, task.session_id, LiveKind.TASK_PROGRESSED, task_id=task.id)


async def _write(
    tx: Transaction, world_id: UUID, task_id: UUID, values: Mapping[str, Any], condition: ColumnElement[bool]
) -> Row[Any] | None:
    """Change a task that runs if the condition holds of it as it is now."""
    statement = (
        update(tasks)
        .where(tasks.c.world_id == world_id, tasks.c.task_id == task_id, RUNS, condition)
        .values(**values, updated_at=func.now())
        .returning(tasks)
    )
    return (await tx.execute(statement)).one_or_none()
