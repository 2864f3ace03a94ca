"""The tasks of a world: run here, and taken over from owners that are dead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from livingworld.background.periodic_service import running as service_running
from livingworld.coordination.sessions.records import Session, Task, WhenOwnerDies
from livingworld.coordination.sessions.running_task import RunningTask, wait_cancelled
from livingworld.coordination.sessions.task_repository import DEAD_AFTER, TaskRepository, check_task
from livingworld.errors import TaskCancelled
from livingworld.inputs import check_duration, check_function, check_integer, check_label
from livingworld.observability import events
from livingworld.postgres.services import Services

#: Does a task again, or continues it; what it returns is stored as the result.
Handler = Callable[[RunningTask], Awaitable[Any]]

#: The pause between two looks, unless the caller says otherwise.
LOOK_EVERY: Final = timedelta(seconds=5)
#: Most tasks that one service runs at once.
MAX_AT_ONCE: Final = 100


class Tasks(TaskRepository):
    """The tasks of the sessions of one world, what runs them here, and the service that takes over dead owners'."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.unit)
        self._services = services
        self._background = TaskRepository(services.background)

    @asynccontextmanager
    async def running(
        self,
        session: UUID | Session,
        kind: str,
        *,
        payload: Mapping[str, Any] | None = None,
        epoch: int | None = None,
        dead_after: timedelta = DEAD_AFTER,
        when_owner_dies: WhenOwnerDies = "fail",
    ) -> AsyncIterator[RunningTask]:
        """Start a task as `create_unless_running` does, keep it alive in the block, and end it when the block is left.

        Left well, it is finished with `result`, and TaskSuperseded is raised when that came too late. Left by
        TaskCancelled or a cancellation it is cancelled, by another error failed. In the block nothing is locked.
        """
        asked_at = asyncio.get_running_loop().time()
        creating = self.create_unless_running(
            session, kind, payload=payload, epoch=epoch, dead_after=dead_after, when_owner_dies=when_owner_dies
        )
        task = await self._services.tasks.acquire(creating, self.stop)
        async with RunningTask(self._services, task, asked_at).ended() as running:
            yield running

    @asynccontextmanager
    async def owning(self, task: Task) -> AsyncIterator[RunningTask]:
        """Keep a task alive that was created or taken over before, as `running` does; raises TaskSuperseded."""
        asked_at = asyncio.get_running_loop().time()
        await self.heartbeat(task)
        async with RunningTask(self._services, task, asked_at).ended() as running:
            yield running

    async def wait_cancelled(self, task: Task) -> Task:
        """Wait until the owner of a task has to stop, and return the task as it is then.

        That is when a stop was requested, when the task is over, or when another owner has it. A notification ends the
        wait at once; without one it ends within the polling interval. Raises TaskNotFound when its session is gone.
        """
        return await wait_cancelled(self._services, check_task(task))

    async def beat(self, task: Task) -> Task:
        """Do as `heartbeat`, also while the pool is busy."""
        return await self._background.heartbeat(task)

    @asynccontextmanager
    async def taking_over(
        self, handler: Handler, *, kind: str | None = None, every: timedelta = LOOK_EVERY, at_once: int = 1
    ) -> AsyncIterator[None]:
        """Take over tasks whose owners are dead, of a kind or of any, and run each while the block runs.

        `handler(running)` gets the task as `running` gives it, kept alive and stopped on request; nothing is locked
        while it works. What it returns is the result, an error of its own lets the task fail and is logged, and a task
        that was asked to stop before is ended without it. When the block ends first, the handler is cancelled and the
        task can be taken over at once. Several processes may do it at once; each runs `at_once` tasks at most.
        """
        check_function("handler", handler)
        wanted = None if kind is None else check_label("kind", kind)
        check_duration("every", every, minimum=timedelta.resolution)
        count = check_integer("at_once", at_once, minimum=1, maximum=MAX_AT_ONCE)
        self._unit.refuse_misplaced()
        async with AsyncExitStack() as stack:
            for _ in range(count):
                one = partial(self._run_dead_one, handler, wanted)
                service = service_running("tasks taken over", one, every=every, metrics=self._services.metrics)
                await stack.enter_async_context(service)
            yield

    async def _run_dead_one(self, handler: Handler, kind: str | None) -> int:
        asked_at = asyncio.get_running_loop().time()
        task = await self._services.tasks.acquire(self.take_over_dead(kind=kind), self._hand_on_taken)
        if task is None:
            return 0
        try:
            async with RunningTask(self._services, task, asked_at, hands_on=True).ended() as taken:
                taken.result = await _handled(handler, taken)
        except TaskCancelled:
            return 1
        except Exception as error:  # noqa: BLE001 - it is stored with the task, and the next one waits
            ids = {"world_id": self._services.world_id, "task_id": task.id}
            events.emit(events.TASK_HANDLER_FAILED, **ids, error=type(error).__name__)
        return 1

    async def _hand_on_taken(self, task: Task | None) -> None:
        if task is not None:
            await self.hand_on(task)


async def _handled(handler: Handler, taken: RunningTask) -> Any:  # noqa: ANN401 - a JSON value
    """Return what the handler returns; a cancellation that is its own doing ends the task, and not the service."""
    if taken.task.cancel_requested_at is not None:
        raise TaskCancelled(task_id=taken.task.id)
    try:
        return await handler(taken)
    except asyncio.CancelledError:
        service = asyncio.current_task()
        if service is None or service.cancelling():
            raise
    raise TaskCancelled(task_id=taken.task.id)
