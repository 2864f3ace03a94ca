"""The actions of a world, and the workers that run them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final, Generic

from livingworld.coordination.actions import action_writing
from livingworld.coordination.actions.claiming import ActionClaims
from livingworld.coordination.actions.locking import actions_topic
from livingworld.coordination.actions.records import Action
from livingworld.coordination.actions.repository import ActionRepository
from livingworld.coordination.actions.running_action import RunningAction, Scope, WorkerOptions
from livingworld.errors import ActionNotFound, InvalidInput, InvalidType, LivingWorldError
from livingworld.inputs import MAX_TTL, MIN_TTL, check_duration, check_function, check_integer, check_label
from livingworld.observability import events, instruments
from livingworld.postgres.notifications import TopicSubscription
from livingworld.postgres.services import Services
from livingworld.postgres.transactions.transaction import Transaction

#: Runs one action; what it returns, JSON, is the result unless it has called `complete` itself.
Handler = Callable[[RunningAction[Scope]], Awaitable[Any]]

MAX_CONCURRENCY: Final = 1000
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=5)


def longer_each_time(action: Action) -> timedelta:
    """Return 1, 2, 4, ... seconds, at most 5 minutes."""
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * (1 << min(action.attempts - 1, 10)))


class Actions(ActionRepository, Generic[Scope]):
    """The actions of one world, and the workers that run them."""

    def __init__(self, services: Services, scope: Callable[[Transaction], Scope]) -> None:
        super().__init__(services.unit)
        self._services = services
        self._scope = scope

    def worker(
        self,
        handlers: Mapping[str, Handler[Scope]],
        *,
        concurrency: int = 8,
        ttl: timedelta = timedelta(seconds=30),
        retry_in: Callable[[Action], timedelta | None] = longer_each_time,
    ) -> ActionWorker[Scope]:
        """Return a worker that runs actions by these handlers, by kind, at most `concurrency` at once.

        It begins with `run_once` or `running`. After a failed attempt an action waits for `retry_in`, and has failed
        for good where that is None. An attempt of a kind without a handler fails. A claim that is lost since the server
        was away counts as no attempt. No transaction is open while a handler works. Other options as `claim`.
        """
        if not isinstance(handlers, Mapping):
            raise InvalidType("handlers", f"must be a mapping of kinds to functions, not {type(handlers).__name__}")
        for kind, handler in handlers.items():
            check_label("handlers", kind)
            check_function(f"handlers[{kind}]", handler)
        check_function("retry_in", retry_in)
        check_integer("concurrency", concurrency, minimum=1, maximum=MAX_CONCURRENCY)
        length = check_duration("ttl", ttl, minimum=MIN_TTL, maximum=MAX_TTL)
        cut_off: list[Action] = []
        options = WorkerOptions(scope=self._scope, ttl=length, retry_in=retry_in, cut_off=cut_off.append)
        return ActionWorker(self._services, options, dict(handlers), concurrency, cut_off)


class ActionWorker(Generic[Scope]):
    """Claims actions of one world and runs them; any number of workers and processes may do so at once."""

    def __init__(
        self,
        services: Services,
        options: WorkerOptions[Scope],
        handlers: Mapping[str, Handler[Scope]],
        concurrency: int,
        cut_off: list[Action],
    ) -> None:
        self._services = services
        self._options = options
        self._actions = ActionClaims(services.unit)
        self._handlers = handlers
        self._concurrency = concurrency
        #: What ended here since the server was away: it is reported before the next claim, which would count it.
        self._cut_off = cut_off
        self._running: set[asyncio.Task[None]] = set()
        services.metrics.observe_each(instruments.ACTIONS_RUNNING, self, lambda each: len(each._running))  # noqa: SLF001
        #: The last claim: what it brings is begun also when the caller that asked for it is gone.
        self._claiming: asyncio.Task[list[asyncio.Task[None]]] | None = None

    async def run_once(self) -> int:
        """Claim what is due, as much as may run at once, run it to its end, and return how much it was."""
        self._services.unit.refuse_misplaced()
        try:
            started = await self._claim(None)
            if started:
                await asyncio.wait(started)
        except asyncio.CancelledError:
            await self._finish(timedelta(0))
            raise
        return len(started)

    @asynccontextmanager
    async def running(self, *, finish_within: timedelta = timedelta(seconds=10)) -> AsyncIterator[ActionWorker[Scope]]:
        """Run actions while the block runs, as they are due.

        At its end nothing more is claimed, what runs has `finish_within` to come to its end, and what has not is
        cancelled and given back to its lane, as if it had not been claimed.
        """
        check_duration("finish_within", finish_within)
        self._services.unit.refuse_misplaced()
        serving = asyncio.create_task(self._serve())
        try:
            yield self
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            await self._finish(finish_within)

    async def _serve(self) -> None:
        topic = actions_topic(self._services.world_id)
        with self._services.notifications.subscribe(topic) as subscription:
            while True:
                started = await self._claim(subscription)
                if not started or len(self._running) >= self._concurrency:
                    await subscription.wait(self._services.poll_interval)

    async def _claim(self, subscription: TopicSubscription | None) -> list[asyncio.Task[None]]:
        """Claim as much as may begin now, and begin it; a cancelled caller loses nothing that was claimed."""
        free = self._concurrency - len(self._running)
        if free <= 0:
            return []
        self._claiming = self._services.tasks.finish(self._begin(free, subscription))
        return await asyncio.shield(self._claiming)

    async def _begin(self, free: int, subscription: TopicSubscription | None) -> list[asyncio.Task[None]]:
        asked_at = asyncio.get_running_loop().time()
        try:
            await self._report()
            claimed = await self._actions.claim(free, ttl=self._options.ttl)
        except LivingWorldError as error:
            events.emit(events.SERVICE_FAILED, service="actions", error=type(error).__name__)
            return []
        return [self._start(action, asked_at, subscription) for action in claimed]

    async def _report(self) -> None:
        while self._cut_off:
            with suppress(ActionNotFound):  # its world was purged, or it was forgotten
                await self._services.unit.write_idempotent(action_writing.uncount, self._cut_off[0])
            del self._cut_off[0]

    def _start(self, action: Action, asked_at: float, subscription: TopicSubscription | None) -> asyncio.Task[None]:
        if action.started_at is not None:
            due = max(action.created_at, action.not_before or action.created_at)
            waited = max((action.started_at - due).total_seconds(), 0.0)
            self._services.metrics.record(instruments.ACTION_WAIT, waited, action.kind)
        running = RunningAction(self._services, self._options, action, asked_at)
        task = asyncio.create_task(running.run(self._handlers.get(action.kind, _unknown_kind)))
        self._running.add(task)

        def ended(_: asyncio.Task[None]) -> None:
            self._running.discard(task)
            if subscription is not None:
                subscription.wake()

        task.add_done_callback(ended)
        return task

    async def _finish(self, within: timedelta) -> None:
        try:
            if self._claiming is not None:
                await asyncio.wait([self._claiming])
            if self._running:  # each takes its first step here at the latest: before it, nothing could be given back
                await asyncio.wait(self._running, timeout=within.total_seconds())
        finally:
            left = list(self._running)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)


async def _unknown_kind(_: RunningAction[Any]) -> None:
    raise InvalidInput("kind", "has no handler here")
