"""Tasks: jobs of a session, each with an owner that beats, is asked to stop, and is replaced when it is dead."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, get_args
from uuid import UUID

from sqlalchemy import func

from livingworld.coordination.sessions import dead_owners, task_writing
from livingworld.coordination.sessions.locking import began
from livingworld.coordination.sessions.records import Session, Task, TaskState, WhenOwnerDies
from livingworld.coordination.sessions.task_creating import create_task
from livingworld.deadlines import one_call
from livingworld.errors import InvalidInput, InvalidType
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
from livingworld.postgres.transactions.world_unit import WorldUnit

#: An owner without a heartbeat for so long is dead, unless its task says otherwise.
DEAD_AFTER: Final = timedelta(seconds=30)


class TaskRepository:
    """The tasks of the sessions of one world.

    Every write locks the row of the task's session until the transaction ends. The caller that created a task or took
    it over is its owner: the owner's methods take that record and raise TaskSuperseded, a Fenced, when the task was
    taken over, cancelled by a clear or ended meanwhile. A request to stop is notified to the owner after the commit.
    """

    def __init__(self, unit: WorldUnit) -> None:
        self._unit = unit

    async def create_unless_running(
        self,
        session: UUID | Session,
        kind: str,
        *,
        payload: Mapping[str, Any] | None = None,
        epoch: int | None = None,
        dead_after: timedelta = DEAD_AFTER,
        when_owner_dies: WhenOwnerDies = "fail",
    ) -> Task:
        """Start a task and return it, or raise AlreadyRunning with the one of this kind that runs as its `task`.

        One runs for each session and kind, across processes. One that runs fails first if its owner is dead and its
        policy is "fail". No request key: a repetition would be a second owner. Raises SessionNotFound, SessionClosed,
        and SessionCleared as the writes of interactions do.
        """
        values = {
            "task_id": UUID(int=new_id().int),
            "kind": check_label("kind", kind),
            "payload": check_json_object("payload", {} if payload is None else payload),
            "dead_after": check_duration("dead_after", dead_after, minimum=timedelta.resolution),
            "when_owner_dies": _check_policy(when_owner_dies),
        }
        with one_call(self._unit.call_timeout):
            key, since = await began(self._unit, session, epoch)
            return await self._unit.write_idempotent(create_task, key, since, values)

    async def get(self, task_id: UUID) -> Task:
        """Return a task, running or not; one round trip, no lock. Raises TaskNotFound."""
        return await self._unit.read(task_writing.find_task, check_uuid("task_id", task_id))

    async def of_session(self, session_id: UUID, *, limit: int = 50) -> tuple[Task, ...]:
        """Return the tasks of a session, running and over, newest first; empty when there is none. One round trip."""
        key = check_uuid("session_id", session_id)
        return await self._unit.read(task_writing.tasks_of, key, check_limit(limit))

    async def cancel(self, task_id: UUID, *, reason: str | None = None) -> Task:
        """Ask the owner of a task to stop and return the task, which runs until the owner has stopped.

        Raises TaskNotFound, TaskEnded, and AlreadyCancelling when the owner was asked before.
        """
        key, known = check_uuid("task_id", task_id), check_optional_text("reason", reason)
        return await self._unit.write(task_writing.request_cancel, key, known)

    async def heartbeat(self, task: Task) -> Task:
        """Record that the owner lives, and return the task, which shows whether the owner is asked to stop."""
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
        """Leave the task for a successor: it is not over, and from now on its owner counts as dead."""
        return await self._own(task, {"heartbeat_at": func.now() - check_task(task).dead_after})

    async def take_over(self, task_id: UUID) -> Task | None:
        """Become the owner of a task whose owner is dead, where its policy is "take_over".

        None when its owner lives, when it is over, or when its policy is another one. Raises TaskNotFound.
        """
        return await self._unit.write(dead_owners.take_over_named, check_uuid("task_id", task_id))

    async def take_over_dead(self, *, kind: str | None = None, looks: int = 20) -> Task | None:
        """Become the owner of one task, of a kind or of any, that may be taken over; None when there is none.

        Looks at no more than `looks` of them, the silent ones longest first.
        """
        wanted = None if kind is None else check_label("kind", kind)
        return await self._unit.write(dead_owners.take_over_first, wanted, check_limit(looks, "looks"))

    async def fail_dead(self, *, limit: int = 100) -> tuple[Task, ...]:
        """Let tasks fail whose owners are dead and whose policy is "fail", at most `limit`, and return them."""
        return await self._unit.write(dead_owners.fail_all_dead, check_limit(limit))

    async def _end(self, task: Task, state: TaskState, values: Mapping[str, Any]) -> Task:
        return await self._own(task, {**values, "state": state, "ended_at": func.now()})

    async def _own(self, task: Task, values: Mapping[str, Any]) -> Task:
        return await self._unit.write_idempotent(task_writing.write_as_owner, check_task(task), values)


def _check_policy(policy: WhenOwnerDies) -> WhenOwnerDies:
    if policy not in get_args(WhenOwnerDies):
        raise InvalidInput("when_owner_dies", f"must be one of {', '.join(get_args(WhenOwnerDies))}")
    return policy


def check_task(task: object) -> Task:
    """Return `task` unchanged if it is one."""
    if not isinstance(task, Task):
        raise InvalidType("task", f"must be a Task, not {type(task).__name__}")
    return task
