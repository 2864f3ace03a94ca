"""A task as its owner runs it: heard of while the block runs, told when it has to stop, ended however it is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

from livingworld.background.interruptible import run_unless
from livingworld.coordination.sessions.locking import task_topic
from livingworld.coordination.sessions.records import Task, WhenOwnerDies
from livingworld.coordination.sessions.task_repository import DEAD_AFTER, TaskRepository, check_task
from livingworld.errors import InvalidInput, LivingWorldError, TaskCancelled, TaskNotFound, TaskSuperseded
from livingworld.inputs import MAX_DESCRIPTION_CHARACTERS
from livingworld.observability import events
from livingworld.postgres.leases import Lease
from livingworld.postgres.services import Services
from livingworld.postgres.transactions.unit_of_work import UnitOfWork

T = TypeVar("T")

#: So many heartbeats in the time after which an owner is dead.
_BEATS: Final = 4


class RunningTask:
    """A task that this program owns."""

    def __init__(
        self, tasks: Tasks, services: Services, task: Task, asked_at: float, *, hands_on: bool = False
    ) -> None:
        """Keep a task alive that was had by a request sent at `asked_at`, in seconds of the loop's clock.

        `hands_on`: left by a cancellation it is for a successor, and not over.
        """
        self._tasks = tasks
        self._hands_on = hands_on
        self._services = services
        #: The task as it was when it was had; its token is the owner's.
        self.task = task
        #: JSON that is stored as the result when the block ends.
        self.result: Any = None
        #: Set when somebody asked for a stop.
        self.cancel_requested = asyncio.Event()
        self._lease = Lease(
            self._beat,
            length=task.dead_after,
            first_look=task.dead_after / _BEATS,
            look_every=task.dead_after / _BEATS,
            asked_at=asked_at,
            subscription=lambda: services.notifications.subscribe(task_topic(task.id)),
            start=services.tasks.watch,
        )
        #: Set when the task belongs to this owner no more, or may not.
        self.lost = self._lease.lost
        self._watcher = services.tasks.watch(self._watch())

    async def progress(self, progress: Any) -> None:  # noqa: ANN401 - a JSON value
        """Store how far the task has come; raises TaskSuperseded."""
        await self._tasks.progress(self.task, progress)

    async def while_running(self, work: Awaitable[T]) -> T:
        """Return the result of `work`, or cancel it: TaskCancelled when asked to stop, TaskSuperseded when lost."""
        self._services.background.refuse_other_loops()
        ends = {
            self.lost: lambda: TaskSuperseded(task_id=self.task.id),
            self.cancel_requested: lambda: TaskCancelled(task_id=self.task.id),
        }
        return await run_unless(work, ends)

    async def end(self, reason: BaseException | None) -> None:
        """Store how the block ended. Raises TaskSuperseded when it ended well and too late."""
        self._lease.end()
        self._watcher.cancel()
        if reason is None:
            await self._finish()
            return
        if self.lost.is_set():  # whose it is now, and what becomes of it, is not for this owner to say
            self._tell_lost()
            return
        try:
            if self._hands_on and isinstance(reason, asyncio.CancelledError):
                await self._tasks.hand_on(self.task)
            elif isinstance(reason, TaskCancelled | asyncio.CancelledError):
                await self._tasks.stop(self.task)
            else:
                await self._tasks.fail(self.task, _told(reason))
        except LivingWorldError:  # no reason to hide why the block was left; then it ends as its owner's death does
            self._tell_lost()

    async def _finish(self) -> None:
        """Store the result; one that cannot be stored lets the task fail, since the next owner's could not either."""
        try:
            await self._tasks.finish(self.task, self.result)
        except InvalidInput as error:
            await self._tasks.fail(self.task, _told(error))
            raise

    async def _beat(self) -> bool:
        try:
            await self._tasks.beat(self.task)
        except TaskSuperseded:
            return False
        return True

    async def _watch(self) -> None:
        while not self.lost.is_set():
            try:
                now = await self._tasks.wait_cancelled(self.task)
            except TaskNotFound:
                self.lost.set()
            except LivingWorldError:  # the server is away: the lease says for how long that may be
                await asyncio.sleep(self._services.poll_interval.total_seconds())
            else:
                ours = now.state == "running" and now.token == self.task.token
                (self.cancel_requested if ours else self.lost).set()
                return

    def _tell_lost(self) -> None:
        events.emit(events.TASK_LOST, world_id=self._tasks.world_id, task_id=self.task.id)


class Tasks(TaskRepository):
    """The tasks of the sessions of one world, and what runs them here."""

    def __init__(self, unit: UnitOfWork, world_id: UUID, services: Services) -> None:
        super().__init__(unit, world_id)
        self._services = services
        self._background = TaskRepository(services.background, world_id)
        self.world_id = world_id

    @asynccontextmanager
    async def running(
        self,
        session_id: UUID,
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
        creating = self._services.tasks.finish(
            self.create_unless_running(
                session_id,
                kind,
                payload=payload,
                epoch=epoch,
                dead_after=dead_after,
                when_owner_dies=when_owner_dies,
            )
        )
        try:
            task = await asyncio.shield(creating)
        except asyncio.CancelledError:
            self._services.tasks.finish(self._give_back(creating))
            raise
        async with self._ending(RunningTask(self, self._services, task, asked_at)) as running:
            yield running

    @asynccontextmanager
    async def owning(self, task: Task) -> AsyncIterator[RunningTask]:
        """Keep a task alive that was created or taken over before, as `running` does; raises TaskSuperseded."""
        asked_at = asyncio.get_running_loop().time()
        await self.heartbeat(task)
        async with self._ending(RunningTask(self, self._services, task, asked_at)) as running:
            yield running

    async def wait_cancelled(self, task: Task) -> Task:
        """Wait until the owner of a task has to stop, and return the task as it is then.

        That is when it was asked to, when the task is over, or when another owner has it. Heard by notification, and
        found within the polling interval without one. Raises TaskNotFound when its session is gone.
        """
        with self._services.notifications.subscribe(task_topic(check_task(task).id)) as subscription:
            while True:
                now = await self._background.get(task.id)
                if now.state != "running" or now.token != task.token or now.cancel_requested_at is not None:
                    return now
                await subscription.wait(self._services.poll_interval)

    async def beat(self, task: Task) -> Task:
        """Do as `heartbeat`, also while the pool is busy."""
        return await self._background.heartbeat(task)

    @asynccontextmanager
    async def _ending(self, running: RunningTask) -> AsyncIterator[RunningTask]:
        try:
            yield running
        except BaseException as reason:
            await asyncio.shield(self._services.tasks.finish(running.end(reason)))
            raise
        await asyncio.shield(self._services.tasks.finish(running.end(None)))

    async def _give_back(self, creating: asyncio.Task[Task]) -> None:
        """End what was created for a caller who was cancelled meanwhile; what fails here ends by itself."""
        await asyncio.wait([creating])
        if creating.exception() is None:
            try:
                await self.stop(creating.result())
            except LivingWorldError:
                return


def _told(reason: BaseException) -> str:
    """Return an error as text that can be stored."""
    text = f"{type(reason).__name__}: {reason}".replace("\x00", "")
    return text.encode(errors="replace").decode()[:MAX_DESCRIPTION_CHARACTERS]
