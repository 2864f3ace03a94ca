"""The care for tasks whose owners are dead and whose policy is "take_over": each is run by somebody who lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any, Final

from livingworld.background.periodic_service import running
from livingworld.coordination.sessions.records import Task
from livingworld.coordination.sessions.running import RunningTask, Tasks
from livingworld.errors import LivingWorldError, TaskCancelled
from livingworld.inputs import check_duration, check_function, check_integer, check_label
from livingworld.observability import events

#: Does a task again, or goes on with it; what it returns is stored as the result.
Handler = Callable[[RunningTask], Awaitable[Any]]

#: How often it is looked, unless the caller says otherwise.
LOOK_EVERY: Final = timedelta(seconds=5)
#: Most tasks that one service runs at once.
MAX_AT_ONCE: Final = 100


class SucceededTasks(Tasks):
    """The tasks of the sessions of one world, what runs them here, and the service that succeeds dead owners."""

    @asynccontextmanager
    async def taking_over(
        self, handler: Handler, *, kind: str | None = None, every: timedelta = LOOK_EVERY, at_once: int = 1
    ) -> AsyncIterator[None]:
        """Take over tasks whose owners are dead, of a kind or of any, and run each while the block runs.

        `handler(running)` gets the task as `running` gives it, heard of and told to stop; nothing is locked while it
        works. What it returns is the result, an error of its own lets the task fail and is logged, and a task that was
        to be stopped is ended without it. When the block ends first, the handler is cancelled and the task is at once
        anybody's who takes over. Several processes may do it at once, and each runs `at_once` tasks at most.
        """
        check_function("handler", handler)
        wanted = None if kind is None else check_label("kind", kind)
        check_duration("every", every, minimum=timedelta.resolution)
        count = check_integer("at_once", at_once, minimum=1, maximum=MAX_AT_ONCE)
        self._unit.refuse_misplaced()
        async with AsyncExitStack() as stack:
            for _ in range(count):
                one = partial(self._succeed_one, handler, wanted)
                await stack.enter_async_context(running("tasks taken over", one, every=every))
            yield

    async def _succeed_one(self, handler: Handler, kind: str | None) -> int:
        asked_at = asyncio.get_running_loop().time()
        task = await self._take_one(kind)
        if task is None:
            return 0
        try:
            async with self._ending(RunningTask(self, self._services, task, asked_at, hands_on=True)) as taken:
                taken.result = await _handled(handler, taken)
        except TaskCancelled:
            return 1
        except Exception as error:  # noqa: BLE001 - it is stored with the task, and the next one waits
            events.emit(events.TASK_HANDLER_FAILED, world_id=self.world_id, task_id=task.id, error=type(error).__name__)
        return 1

    async def _take_one(self, kind: str | None) -> Task | None:
        """Take a task over; when cancelled meanwhile, hand it on."""
        taking = self._services.tasks.finish(self.take_over_dead(kind=kind))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            self._services.tasks.finish(self._hand_on_taken(taking))
            raise

    async def _hand_on_taken(self, taking: asyncio.Task[Task | None]) -> None:
        """Hand on what was taken for nobody; what fails here is dead by itself a little later."""
        await asyncio.wait([taking])
        if taking.exception() is None and (task := taking.result()) is not None:
            try:
                await self.hand_on(task)
            except LivingWorldError:
                return


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
