"""Tasks whose owners are dead: each fails or gets another owner, as its policy says."""

from __future__ import annotations

from contextlib import suppress
from typing import Final
from uuid import UUID

from sqlalchemy import and_, func, select

from livingworld.coordination.sessions.locking import lock_session
from livingworld.coordination.sessions.records import Task, WhenOwnerDies
from livingworld.coordination.sessions.rows import make_task
from livingworld.coordination.sessions.tables import RUNS, tasks
from livingworld.coordination.sessions.task_writing import find_task, task_topic, write_running
from livingworld.errors import SessionNotFound
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit
from livingworld.observability import events
from livingworld.postgres.transactions.transaction import Transaction

_REASON: Final = "the owner sent no heartbeat in time"
#: Its owner had no heartbeat for longer than the task allows.
_DEAD: Final = and_(RUNS, func.now() - tasks.c.heartbeat_at > tasks.c.dead_after)


async def take_over_named(tx: Transaction, task_id: UUID) -> Task | None:
    """Take over a task as `take_over` does; raises TaskNotFound."""
    return await take_over(tx, await find_task(tx, task_id))


async def take_over(tx: Transaction, task: Task) -> Task | None:
    """Make the caller the owner of a task whose owner is dead; None when it is not, or when the policy is another."""
    try:
        await lock_session(tx, task.session_id)
    except SessionNotFound:
        return None
    values = {"token": tasks.c.token + 1, "heartbeat_at": func.now()}
    row = await write_running(tx, task.id, values, and_(_DEAD, tasks.c.when_owner_dies == "take_over"))
    if row is None:
        return None
    tx.log_after_commit(events.TASK_TAKEN_OVER, world_id=tx.world_id, task_id=task.id, token=row.token)
    tx.notify_after_commit(task_topic(task.id))
    publish_at_commit(tx, task.session_id, LiveKind.TASK_TAKEN_OVER, task_id=task.id)
    return make_task(row)


async def take_over_first(tx: Transaction, kind: str | None, looks: int) -> Task | None:
    """Take over the first of the tasks that may be, of `looks` of them; None when there is none."""
    for dead in await _dead_tasks(tx, "take_over", kind, looks):
        if (task := await take_over(tx, dead)) is not None:
            return task
    return None


async def fail_all_dead(tx: Transaction, limit: int) -> tuple[Task, ...]:
    """Let tasks fail whose owners are dead, under the locks of their sessions, at most `limit`, and return them."""
    dead = await _dead_tasks(tx, "fail", None, limit)
    for task in dead:
        with suppress(SessionNotFound):  # gone since, and its tasks with it
            await lock_session(tx, task.session_id)
    failed = [await fail_dead(tx, task) for task in dead]
    return tuple(task for task in failed if task is not None)


async def fail_dead(tx: Transaction, task: Task) -> Task | None:
    """Let a task fail whose owner is dead, under its session's lock; None as `take_over` does."""
    values = {"state": "failed", "error": _REASON, "ended_at": func.now(), "token": tasks.c.token + 1}
    row = await write_running(tx, task.id, values, and_(_DEAD, tasks.c.when_owner_dies == "fail"))
    if row is None:
        return None
    tx.log_after_commit(events.TASK_OWNER_DEAD, world_id=tx.world_id, task_id=task.id)
    tx.notify_after_commit(task_topic(task.id))
    publish_at_commit(tx, task.session_id, LiveKind.TASK_ENDED, task_id=task.id, state=row.state)
    return make_task(row)


async def _dead_tasks(tx: Transaction, policy: WhenOwnerDies, kind: str | None, limit: int) -> list[Task]:
    """Return tasks whose owners seem dead, in the order in which their sessions are locked; no lock."""
    wanted = [tasks.c.world_id == tx.world_id, _DEAD, tasks.c.when_owner_dies == policy]
    if kind is not None:
        wanted.append(tasks.c.kind == kind)
    statement = select(tasks).where(*wanted).order_by(tasks.c.heartbeat_at).limit(limit)
    found = [make_task(row) for row in await tx.execute(statement)]
    return sorted(found, key=lambda task: (task.session_id, task.id))
