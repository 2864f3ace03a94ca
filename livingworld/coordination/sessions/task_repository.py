"""Tasks: jobs of a session with an owner that is heard of, asked to stop, and succeeded when it is dead."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, Final, get_args
from uuid import UUID

from sqlalchemy import func, select

from livingworld.coordination.sessions import task_endings
from livingworld.coordination.sessions.locking import check_epoch, lock_session
from livingworld.coordination.sessions.records import Task, TaskState, WhenOwnerDies, make_task
from livingworld.coordination.sessions.tables import tasks
from livingworld.coordination.sessions.task_creating import create_task
from livingworld.errors import InvalidInput, InvalidType, SessionNotFound
from livingworld.identifiers import new_id
from livingworld.inputs import (
    MAX_DESCRIPTION_CHARACTERS,
    check_duration,
    check_json,
    check_json_object,
    check_label,
    check_optional_text,
    check_text,
    check_uuid,
)
from livingworld.postgres.keyset import check_limit
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit_of_work import UnitOfWork

#: An owner that is not heard of for so long is dead, unless its task says otherwise.
DEAD_AFTER: Final = timedelta(seconds=30)


class TaskRepository:
    """The tasks of the sessions of one world.

    Every write locks the row of the task's session until the transaction ends. Who was given a task, by creating it or
    taking it over, is its owner: its methods take that record and raise TaskSuperseded, a Fenced, when the task was
    taken over, cancelled by a clear or ended meanwhile. An owner is notified of what is asked of it after the commit.
    """

    def __init__(self, unit: UnitOfWork, world_id: UUID) -> None:
        self._unit = unit
        self._world_id = world_id

    async def create_unless_running(
        self,
        session_id: UUID,
        kind: str,
        *,
        payload: Mapping[str, Any] | None = None,
        epoch: int | None = None,
        dead_after: timedelta = DEAD_AFTER,
        when_owner_dies: WhenOwnerDies = "fail",
    ) -> Task:
        """Start a task and return it, or raise AlreadyRunning with the one of this kind that runs as its `task`.

        One runs for each session and kind, across processes. One that runs fails first if its owner is dead and its
        policy is "fail". Raises SessionNotFound, SessionClosed, and SessionCleared when the session is past `epoch`.
        """
        key = check_uuid("session_id", session_id)
        check_epoch(epoch)
        values = {
            "task_id": UUID(int=new_id().int),
            "kind": check_label("kind", kind),
            "payload": check_json_object("payload", {} if payload is None else payload),
            "dead_after": check_duration("dead_after", dead_after, minimum=timedelta.resolution),
            "when_owner_dies": _check_policy(when_owner_dies),
        }
        return await self._unit.run(lambda tx: create_task(tx, self._world_id, key, epoch, values), repeatable=True)

    async def get(self, task_id: UUID) -> Task:
        """Return a task, running or not; one round trip, no lock. Raises TaskNotFound."""
        key = check_uuid("task_id", task_id)
        return await self._unit.run(
            lambda tx: task_endings.find_task(tx, self._world_id, key), repeatable=True, single_statement=True
        )

    async def of_session(self, session_id: UUID, *, limit: int = 50) -> tuple[Task, ...]:
        """Return the tasks of a session, running and over, newest first; empty when there is none. One round trip."""
        statement = (
            select(tasks)
            .where(tasks.c.world_id == self._world_id, tasks.c.session_id == check_uuid("session_id", session_id))
            .order_by(tasks.c.created_at.desc(), tasks.c.task_id.desc())
            .limit(check_limit(limit))
        )

        async def work(tx: Transaction) -> tuple[Task, ...]:
            return tuple(make_task(row) for row in await tx.execute(statement))

        return await self._unit.run(work, repeatable=True, single_statement=True)

    async def cancel(self, task_id: UUID, *, reason: str | None = None) -> Task:
        """Ask the owner of a task to stop and return the task, which runs until the owner has stopped.

        Raises TaskNotFound, TaskEnded, and AlreadyCancelling when the owner was asked before.
        """
        key = check_uuid("task_id", task_id)
        told = check_optional_text("reason", reason)
        return await self._unit.run(lambda tx: task_endings.request_cancel(tx, self._world_id, key, told))

    async def heartbeat(self, task: Task) -> Task:
        """Say that the owner lives, and return the task: it tells whether the owner is asked to stop."""
        return await self._own(task, {"heartbeat_at": func.now()})

    async def progress(self, task: Task, progress: Any) -> Task:  # noqa: ANN401 - a JSON value
        """Store how far the task has come, as a heartbeat does."""
        return await self._own(task, {"progress": check_json("progress", progress), "heartbeat_at": func.now()})

    async def finish(self, task: Task, result: Any = None) -> Task:  # noqa: ANN401 - a JSON value
        """End the task with its result; the same owner's second call returns what is stored."""
        return await self._end(task, "finished", {"result": check_json("result", result)})

    async def fail(self, task: Task, error: str) -> Task:
        """End the task with an error; the same owner's second call returns what is stored."""
        return await self._end(task, "failed", {"error": check_text("error", error, limit=MAX_DESCRIPTION_CHARACTERS)})

    async def stop(self, task: Task) -> Task:
        """End the task as cancelled, because its owner has stopped; the second call returns what is stored."""
        return await self._end(task, "cancelled", {})

    async def hand_on(self, task: Task) -> Task:
        """Say that the owner goes and the task is not over: from now on its owner counts as dead."""
        return await self._own(task, {"heartbeat_at": func.now() - tasks.c.dead_after})

    async def take_over(self, task_id: UUID) -> Task | None:
        """Become the owner of a task whose owner is dead, where its policy is "take_over".

        None when its owner lives, when it is over, or when its policy is another one. Raises TaskNotFound.
        """
        key = check_uuid("task_id", task_id)

        async def work(tx: Transaction) -> Task | None:
            known = await task_endings.find_task(tx, self._world_id, key)
            return await task_endings.take_over(tx, self._world_id, known)

        return await self._unit.run(work)

    async def take_over_dead(self, *, kind: str | None = None, looks: int = 20) -> Task | None:
        """Become the owner of one task, of a kind or of any, that may be taken over; None when there is none.

        Looks at no more than `looks` of them, the silent ones longest first.
        """
        wanted = None if kind is None else check_label("kind", kind)
        limit = check_limit(looks, "looks")

        async def work(tx: Transaction) -> Task | None:
            for dead in await task_endings.dead_tasks(tx, self._world_id, "take_over", wanted, limit):
                if (task := await task_endings.take_over(tx, self._world_id, dead)) is not None:
                    return task
            return None

        return await self._unit.run(work)

    async def fail_dead(self, *, limit: int = 100) -> tuple[Task, ...]:
        """Let tasks fail whose owners are dead and whose policy is "fail", at most `limit`, and return them."""
        return await self._unit.run(partial(self._fail_dead, check_limit(limit)))

    async def _fail_dead(self, limit: int, tx: Transaction) -> tuple[Task, ...]:
        dead = await task_endings.dead_tasks(tx, self._world_id, "fail", None, limit)
        for task in dead:
            with suppress(SessionNotFound):  # gone since, and its tasks with it
                await lock_session(tx, self._world_id, task.session_id)
        failed = [await task_endings.fail_dead(tx, self._world_id, task) for task in dead]
        return tuple(task for task in failed if task is not None)

    async def _end(self, task: Task, state: TaskState, values: Mapping[str, Any]) -> Task:
        return await self._own(task, {**values, "state": state, "ended_at": func.now()})

    async def _own(self, task: Task, values: Mapping[str, Any]) -> Task:
        own = check_task(task)
        return await self._unit.run(
            lambda tx: task_endings.write_as_owner(tx, self._world_id, own, values), repeatable=True
        )


def _check_policy(policy: WhenOwnerDies) -> WhenOwnerDies:
    if policy not in get_args(WhenOwnerDies):
        raise InvalidInput("when_owner_dies", f"must be one of {', '.join(get_args(WhenOwnerDies))}")
    return policy


def check_task(task: object) -> Task:
    """Return `task` unchanged if it is one."""
    if not isinstance(task, Task):
        raise InvalidType("task", f"must be a Task, not {type(task).__name__}")
    return task
