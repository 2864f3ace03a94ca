"""Cancel a call at its nth await, exactly, by the real Task.cancel()."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from enum import Enum
from typing import Any


class Persistence(Enum):
    """How often the call is cancelled."""

    ONCE = "once"
    #: Whatever the call awaits while it tidies up is cancelled too.
    FROM_THEN_ON = "from then on"


class CancelledAt:
    """Awaits a coroutine and cancels the task that awaits it at the nth time that it waits for something."""

    def __init__(self, coroutine: Coroutine[Any, Any, object], nth: int, persistence: Persistence) -> None:
        self._coroutine = coroutine
        self._nth = nth
        self._persistence = persistence
        #: How often it waited.
        self.waits = 0

    def __await__(self) -> Generator[Any, Any, object]:
        step: Callable[[], Any] = lambda: self._coroutine.send(None)  # noqa: E731
        while True:
            try:
                awaited = step()
            except StopIteration as end:
                return end.value
            self.waits += 1
            if self.waits == self._nth or (self.waits > self._nth and self._persistence is Persistence.FROM_THEN_ON):
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            step = yield from self._resume(awaited)

    def _resume(self, awaited: object) -> Generator[Any, Any, Callable[[], Any]]:
        try:
            sent = yield awaited
        except BaseException as error:  # noqa: BLE001 - handed on as it is
            return lambda error=error: self._coroutine.throw(error)  # type: ignore[misc]
        return lambda: self._coroutine.send(sent)


async def cancelled_at(coroutine: Coroutine[Any, Any, object], nth: int, persistence: Persistence) -> tuple[bool, bool]:
    """Run a coroutine in a task, cancelled at its nth wait; return whether it waited that often, and whether it ended.

    False, True: it was over before. True, False: it raised CancelledError. True, True: cancelled and yet carried out.
    """
    call = CancelledAt(coroutine, nth, persistence)

    async def run() -> None:
        await call

    task = asyncio.create_task(run())
    await asyncio.wait({task})
    ended = not task.cancelled()
    if ended:
        task.result()
    return call.waits >= nth, ended
