"""How a task is written: by its owner, or by force. The session's row is locked in every case.

An end by another than the owner raises the token, so that every later write of the owner is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, func, select, update

from livingworld.coordination.sessions.locking import lock_session
from livingworld.coordination.sessions.records import Task
from livingworld.coordination.sessions.rows import make_task
from livingworld.coordination.sessions.tables import RUNS, tasks
from livingworld.errors import AlreadyCancelling, SessionNotFound, TaskEnded, TaskNotFound, TaskSuperseded
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit
from livingworld.observability import events
from livingworld.postgres.compiled_text import select_row
from livingworld.postgres.transactions.transaction import Transaction


def task_topic(task_id: UUID) -> str:
    """Return the topic that is notified of everything that a task's owner has to know."""
    return f"task:{task_id}"


async def find_task(tx: Transaction, task_id: UUID) -> Task:
    """Return a task; raises TaskNotFound."""
    row = (await tx.execute_text(*select_row(tasks).bind(world_id=tx.world_id, task_id=task_id))).one_or_none()
    if row is None:
        raise TaskNotFound(task_id=task_id)
    return make_task(row)


async def tasks_of(tx: Transaction, session_id: UUID, limit: int) -> tuple[Task, ...]:
    """Return the tasks of a session, newest first."""
    statement = select(tasks).where(tasks.c.world_id == tx.world_id, tasks.c.session_id == session_id)
    newest = statement.order_by(tasks.c.created_at.desc(), tasks.c.task_id.desc()).limit(limit)
    return tuple(make_task(row) for row in await tx.execute(newest))


async def write_running(
    tx: Transaction, task_id: UUID, values: Mapping[str, Any], condition: ColumnElement[bool]
) -> Row[Any] | None:
    """Change a task that runs if the condition holds of it as it is now."""
    statement = (
        update(tasks)
        .where(tasks.c.world_id == tx.world_id, tasks.c.task_id == task_id, RUNS, condition)
        .values(**values, updated_at=func.now())
        .returning(tasks)
    )
    return (await tx.execute(statement)).one_or_none()


async def write_as_owner(tx: Transaction, task: Task, values: Mapping[str, Any]) -> Task:
    """Change a task that runs and is still the owner's; else raise TaskSuperseded, also when its session is gone.

    The same ending again changes nothing: only the owner ends a task under its token.
    """
    try:
        await lock_session(tx, task.session_id)
    except SessionNotFound:
        raise TaskSuperseded(task_id=task.id) from None
    if (row := await write_running(tx, task.id, values, tasks.c.token == task.token)) is not None:
        if row.state != "running":
            tx.notify_after_commit(task_topic(task.id))
        _publish_own(tx, task, values)
        return make_task(row)
    owns = (tasks.c.world_id == tx.world_id, tasks.c.task_id == task.id, tasks.c.token == task.token)
    ended = (await tx.execute(select(tasks).where(*owns, tasks.c.state == values.get("state")))).one_or_none()
    if ended is None:
        raise TaskSuperseded(task_id=task.id)
    return make_task(ended)


async def request_cancel(tx: Transaction, task_id: UUID, reason: str | None) -> Task:
    """Ask the owner of a task to stop; raises TaskNotFound, TaskEnded, AlreadyCancelling."""
    known = await find_task(tx, task_id)
    try:
        await lock_session(tx, known.session_id)
    except SessionNotFound:
        raise TaskNotFound(task_id=task_id) from None
    values = {"cancel_requested_at": func.now(), "cancel_reason": reason}
    row = await write_running(tx, task_id, values, tasks.c.cancel_requested_at.is_(None))
    if row is None:
        known = await find_task(tx, task_id)
        raise AlreadyCancelling(task_id=task_id) if known.state == "running" else TaskEnded(state=known.state)
    tx.log_after_commit(events.TASK_CANCEL_REQUESTED, world_id=tx.world_id, task_id=task_id)
    tx.notify_after_commit(task_topic(task_id))
    publish_at_commit(tx, known.session_id, LiveKind.TASK_CANCEL_REQUESTED, task_id=task_id)
    return make_task(row)


async def cancel_all(tx: Transaction, session_id: UUID, reason: str) -> int:
    """End every task that runs in a locked session, and return how many; the owners are notified."""
    values = {
        "state": "cancelled",
        "token": tasks.c.token + 1,
        "cancel_requested_at": func.least(tasks.c.cancel_requested_at, func.now()),
        "cancel_reason": func.coalesce(tasks.c.cancel_reason, reason),
        "ended_at": func.now(),
        "updated_at": func.now(),
    }
    of_session = (tasks.c.world_id == tx.world_id, tasks.c.session_id == session_id, RUNS)
    ended = await tx.execute(update(tasks).where(*of_session).values(**values).returning(tasks.c.task_id))
    ids = [UUID(int=row.task_id.int) for row in ended]
    for task_id in ids:
        tx.notify_after_commit(task_topic(task_id))
        publish_at_commit(tx, session_id, LiveKind.TASK_ENDED, task_id=task_id, state="cancelled")
    return len(ids)


def _publish_own(tx: Transaction, task: Task, values: Mapping[str, Any]) -> None:
    """Publish what an owner wrote; a heartbeat is not published."""
    if "state" in values:
        publish_at_commit(tx, task.session_id, LiveKind.TASK_ENDED, task_id=task.id, state=values["state"])
    elif "progress" in values:
        publish_at_commit(tx, task.session_id, LiveKind.TASK_PROGRESSED, task_id=task.id)
