"""The event loop in a thread of its own, in which blocking calls from any thread are answered."""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import inspect
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, wait
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any, Final, TypeVar
from weakref import WeakSet

from livingworld.errors import Closed, UsedAfterFork, WrongThread

T = TypeVar("T")

#: A call that is interrupted waits so long for its end in the loop: what it has begun is rolled back meanwhile.
_CANCEL_SECONDS: Final = 5.0
#: At exit a loop is waited for so long.
_EXIT_SECONDS: Final = 10.0


class Caller(threading.local):
    """A thread that calls: in which blocks it is, and whether what it runs for has been cancelled."""

    def __init__(self) -> None:
        #: The contexts of the blocks that this thread has entered, the innermost last.
        self.contexts: list[Context] = []
        self.job: Job | None = None

    def context(self) -> Context:
        """Return the context for a call: it knows the deadline and the transaction that the thread is in."""
        return self.contexts[-1].copy() if self.contexts else copy_context()


class Job:
    """A function of the application that a call of the loop runs in a thread."""

    def __init__(self) -> None:
        self.cancelled = False
        self.task: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        """Cancel the call that is under way, and every later one; in the loop's thread."""
        self.cancelled = True
        if self.task is not None:
            self.task.cancel()


caller: Final = Caller()


class Portal:
    """The way into one event loop; usable from every thread of the process that made it."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._closed = False
        self._loop = asyncio.new_event_loop()
        _portals.add(self)
        self._thread = threading.Thread(target=self._serve, name="livingworld", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def call(self, function: Callable[..., Any], /, *args: Any, **kw: Any) -> Any:  # noqa: ANN401 - any function
        """Return what a function returns in the loop, awaited where it has to be; an interrupt cancels it."""

        async def work() -> Any:  # noqa: ANN401
            result = function(*args, **kw)
            return await result if inspect.isawaitable(result) else result

        outcome, task = self.start(work, caller.context())
        return self.wait(outcome, task)

    def start(self, work: Callable[[], Coroutine[Any, Any, Any]], context: Context) -> tuple[Future[Any], list[Any]]:
        """Start work in the loop; return where its outcome comes, and a list that gets its task."""
        self.refuse_misplaced()
        outcome: Future[Any] = Future()
        task: list[asyncio.Task[None]] = []
        job = caller.job

        async def run() -> None:
            try:
                outcome.set_result(await work())
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                outcome.set_exception(error)

        def begin() -> None:
            task.append(self._loop.create_task(run(), context=context))
            if job is not None:
                job.task = task[0]
                if job.cancelled:
                    job.cancel()

        self.in_loop(begin)
        return outcome, task

    def wait(self, outcome: Future[T], task: list[asyncio.Task[None]]) -> T:
        """Return an outcome; an interrupt of this thread cancels the task and waits for its end."""
        try:
            return outcome.result()
        except asyncio.CancelledError:
            if self._closed:
                raise Closed from None
            raise
        except BaseException:
            if not outcome.done():
                self.in_loop(lambda: [each.cancel() for each in task])
                wait([outcome], _CANCEL_SECONDS)
            raise

    def in_loop(self, function: Callable[[], object]) -> None:
        """Have a function called in the loop's thread; raises Closed."""
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:  # the loop is closed
            raise Closed from None

    def refuse_misplaced(self) -> None:
        """Raise UsedAfterFork, WrongThread, Closed, or CancelledError in a function whose call was cancelled."""
        if os.getpid() != self._pid:
            raise UsedAfterFork
        if threading.current_thread() is self._thread:
            raise WrongThread
        if self._closed:
            raise Closed
        if caller.job is not None and caller.job.cancelled:
            raise CancelledError

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Return what a blocking function returns, in a thread of its own, which knows the blocks of this task."""
        done: asyncio.Future[tuple[BaseException | None, Any]] = self._loop.create_future()
        job, context = Job(), copy_context()

        def work() -> None:
            caller.contexts, caller.job = [context], job
            error, result = None, None
            try:
                result = function()
            except BaseException as raised:  # noqa: BLE001 - it is the call's
                error = raised if isinstance(raised, Exception) else asyncio.CancelledError()
            with suppress(Closed):
                self.in_loop(lambda: None if done.done() else done.set_result((error, result)))

        threading.Thread(target=work, name="livingworld function", daemon=True).start()
        try:
            error, result = await done
        except asyncio.CancelledError:
            job.cancel()
            raise
        if error is not None:
            raise error
        returned: T = result
        return returned

    def leave_to_parent(self) -> None:
        """In the child of a fork, keep what the loop had under way from being ended there: it is the parent's."""
        left = [self._loop, *asyncio.all_tasks(self._loop)]
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(left))  # never freed, so no task complains of its end

    @property
    def is_open(self) -> bool:
        """Whether this process can make calls."""
        return not self._closed and os.getpid() == self._pid

    def close(self) -> None:
        """Cancel what is under way, and end the loop and its thread; again, or after a fork, does nothing."""
        if not self.is_open:
            return
        self._closed = True
        self.in_loop(lambda: self._loop.create_task(self._end()))
        self._thread.join(_EXIT_SECONDS)

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self._loop.stop()


_portals: Final[WeakSet[Portal]] = WeakSet()


def _after_fork() -> None:
    for portal in list(_portals):
        portal.leave_to_parent()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)

_at_exit: Final[dict[object, Callable[[], None]]] = {}


def close_at_exit(owner: object, close: Callable[[], None]) -> None:
    """Have something closed when the interpreter ends, unless it is forgotten before."""
    _at_exit[owner] = close


def forget(owner: object) -> None:
    """Close something at exit no more."""
    _at_exit.pop(owner, None)


@atexit.register
def _close_all() -> None:
    for close in reversed(list(_at_exit.values())):
        with suppress(Exception):  # the interpreter ends: it is too late for an error
            close()
