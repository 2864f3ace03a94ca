"""The sessions of a world, with the care for idle sessions and for tasks whose owners are dead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

from livingworld.background.periodic_service import running
from livingworld.coordination.sessions.repository import SessionRepository
from livingworld.coordination.sessions.task_repository import TaskRepository
from livingworld.inputs import check_duration
from livingworld.postgres.services import Services

#: The pause between two looks, unless the caller says otherwise.
SWEEP_EVERY: Final = timedelta(minutes=1)


class Sessions(SessionRepository):
    """The sessions of one world, and the service that removes idle ones."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.unit)
        self._metrics = services.metrics
        self._tasks = TaskRepository(services.unit)

    @asynccontextmanager
    async def sweeping(self, *, idle_for: timedelta, every: timedelta = SWEEP_EVERY) -> AsyncIterator[None]:
        """Remove sessions that had no heartbeat for `idle_for`, and let dead owners' tasks fail, while the block runs.

        It does so as `expire` and `tasks.fail_dead` do, about so often, and at once again while there is more to do.
        Several processes may do it at once. What fails is logged, and done in the next round.
        """
        check_duration("idle_for", idle_for, minimum=timedelta.resolution)
        check_duration("every", every, minimum=timedelta.resolution)
        self._unit.refuse_misplaced()
        rounds: dict[str, Callable[[], Awaitable[int]]]
        rounds = {"idle sessions": partial(self._expire, idle_for), "dead tasks": self._fail_dead}
        async with AsyncExitStack() as stack:
            for name, run_once in rounds.items():
                await stack.enter_async_context(running(name, run_once, every=every, metrics=self._metrics))
            yield

    async def _expire(self, idle_for: timedelta) -> int:
        return len(await self.expire(idle_for))

    async def _fail_dead(self) -> int:
        return len(await self._tasks.fail_dead())
