"""Creating a task: one of a kind runs in a session, in all processes together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, or_, select
from sqlalchemy.dialects.postgresql import insert

from livingworld.coordination.sessions.dead_owners import fail_dead
from livingworld.coordination.sessions.locking import lock_open_session
from livingworld.coordination.sessions.records import Task
from livingworld.coordination.sessions.rows import make_task
from livingworld.coordination.sessions.tables import RUNS, tasks
from livingworld.errors import AlreadyRunning, SerializationFailure
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit
from livingworld.postgres.transactions.transaction import Transaction

#: What runs can end between two looks only by a write past the session's lock.
_LOOKS: Final = 5


async def create_task(tx: Transaction, session_id: UUID, epoch: int, values: Mapping[str, Any]) -> Task:
    """Store a task under a session that is locked and not past the epoch, or raise AlreadyRunning.

    What runs of its kind with a dead owner fails first, where its policy says so. The lock orders this and a clear, the
    constraint decides which one runs. The id is new, so a row that is there already is of a try whose answer was lost.
    """
    session = await lock_open_session(tx, session_id, epoch)
    for _ in range(_LOOKS):
        statement = insert(tasks).values(world_id=tx.world_id, session_id=session_id, epoch=session.epoch, **values)
        row = (await tx.execute(statement.on_conflict_do_nothing().returning(tasks))).one_or_none()
        if row is not None:
            details = {"task_id": values["task_id"], "task_kind": values["kind"]}
            publish_at_commit(tx, session_id, LiveKind.TASK_STARTED, **details)
            return make_task(row)
        row = await _running(tx, session_id, values)
        if row is None:
            continue
        there = make_task(row)
        if there.id == values["task_id"]:
            return there
        if await fail_dead(tx, there) is None:
            raise AlreadyRunning(task=there, session_id=session_id, task_id=there.id)
    raise SerializationFailure


async def _running(tx: Transaction, session_id: UUID, values: Mapping[str, Any]) -> Row[Any] | None:
    same_kind = (tasks.c.kind == values["kind"]) & RUNS
    statement = select(tasks).where(
        tasks.c.world_id == tx.world_id,
        tasks.c.session_id == session_id,
        or_(tasks.c.task_id == values["task_id"], same_kind),
    )
    return (await tx.execute(statement)).first()
