"""A task as its owner runs it: kept alive while the block runs, stopped when asked, ended however the block is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from livingworld.background.interruptible import WatchedEvent, run_unless
from livingworld.coordination.sessions.records import Task
from livingworld.coordination.sessions.task_repository import TaskRepository
from livingworld.coordination.sessions.task_writing import find_task, task_topic
from livingworld.errors import InvalidInput, LivingWorldError, TaskCancelled, TaskNotFound, TaskSuperseded
from livingworld.inputs import storable_error_text
from livingworld.observability import events, instruments
from livingworld.postgres.leases import Lease
from livingworld.postgres.services import Services

T = TypeVar("T")


class RunningTask:
    """A task that this program owns."""

    def __init__(self, services: Services, task: Task, asked_at: float, *, hands_on: bool = False) -> None:
        """Keep a task alive that was obtained by a request sent at `asked_at`, in seconds of the loop's clock.

        `hands_on`: left by a cancellation it is for a successor, and not over.
        """
        self._services = services
        self._tasks = TaskRepository(services.unit)
        self._background = TaskRepository(services.background)
        self._hands_on = hands_on
        #: The task as it was when it was obtained; its token is the owner's.
        self.task = task
        #: JSON that is stored as the result when the block ends.
        self.result: Any = None
        #: Set when a stop was requested.
        self.cancel_requested = WatchedEvent()
        self._lease = Lease(
            self._beat,
            length=task.dead_after,
            asked_at=asked_at,
            subscription=lambda: services.notifications.subscribe(task_topic(task.id)),
            start=services.tasks.watch,
            count=partial(services.metrics.add, instruments.LEASE_RENEWALS, 1, "task"),
        )
        #: Set when the task belongs to this owner no more, or may not.
        self.lost = self._lease.lost
        self._watcher = services.tasks.watch(self._watch())

    @asynccontextmanager
    async def ended(self) -> AsyncIterator[RunningTask]:
        """End the task when the block is left, as `Tasks.running` says; a cancelled caller waits for it."""
        try:
            yield self
        except BaseException as reason:
            await asyncio.shield(self._services.tasks.finish(self._end(reason)))
            raise
        await asyncio.shield(self._services.tasks.finish(self._end(None)))

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

    async def _end(self, reason: BaseException | None) -> None:
        """Store how the block ended. Raises TaskSuperseded when it ended well and too late."""
        self._lease.end()
        self._watcher.cancel()
        if reason is None:
            await self._finish()
            return
        if self.lost.is_set():  # its present owner decides what becomes of it
            self._report_lost()
            return
        try:
            if self._hands_on and isinstance(reason, asyncio.CancelledError):
                await self._tasks.hand_on(self.task)
            elif isinstance(reason, TaskCancelled | asyncio.CancelledError):
                await self._tasks.stop(self.task)
            else:
                await self._tasks.fail(self.task, storable_error_text(reason))
        except LivingWorldError:  # no reason to hide why the block was left; then it ends as its owner's death does
            self._report_lost()

    async def _finish(self) -> None:
        """Store the result; one that cannot be stored lets the task fail, since the next owner's could not either."""
        try:
            await self._tasks.finish(self.task, self.result)
        except InvalidInput as error:
            await self._tasks.fail(self.task, storable_error_text(error))
            raise

    async def _beat(self) -> bool:
        try:
            await self._background.heartbeat(self.task)
        except TaskSuperseded:
            return False
        return True

    async def _watch(self) -> None:
        while not self.lost.is_set():
            try:
                now = await wait_cancelled(self._services, self.task)
            except TaskNotFound:
                self.lost.set()
            except LivingWorldError:  # the server is away: the lease says for how long that may be
                await asyncio.sleep(self._services.poll_interval.total_seconds())
            else:
                ours = now.state == "running" and now.token == self.task.token
                (self.cancel_requested if ours else self.lost).set()
                return

    def _report_lost(self) -> None:
        events.emit(events.TASK_LOST, world_id=self._services.world_id, task_id=self.task.id)


async def wait_cancelled(services: Services, task: Task) -> Task:
    """Wait until the owner of a task has to stop; see `Tasks.wait_cancelled`."""
    with services.notifications.subscribe(task_topic(task.id)) as subscription:
        while True:
            now = await services.background.read(find_task, task.id)
            if now.state != "running" or now.token != task.token or now.cancel_requested_at is not None:
                return now
            await subscription.wait_or_poll(services.poll_interval)
