"""Ctrl-C: the first one ends a command in order, the next one at once; exit code 130, and never a traceback."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn, TypeVar

T = TypeVar("T")

#: What a shell reports for a program that Ctrl-C ended.
INTERRUPTED: Final = 130
_SHOW_CURSOR: Final = "\x1b[?25h"


class Interruption:
    """The effect of SIGINT on the command of this process."""

    def __init__(self) -> None:
        #: Whether SIGINT was received; from then on the command counts as interrupted, however it ends.
        self.happened = False
        self._stop: Callable[[], object] | None = None

    def listen(self) -> None:
        """Handle SIGINT from now on, without KeyboardInterrupt, which could come out of any line of any library."""
        signal.signal(signal.SIGINT, self._signalled)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in an event loop; the first SIGINT cancels it, so that it cleans up."""

        async def stoppable() -> T:
            loop, task = asyncio.get_running_loop(), asyncio.current_task()
            with _woken_by_signals(loop), self.stopped_by(lambda: task and loop.call_soon_threadsafe(task.cancel)):
                return await work

        return asyncio.run(stoppable())

    @contextmanager
    def stopped_by(self, stop: Callable[[], object]) -> Iterator[None]:
        """Call `stop` at the first SIGINT in the block, in the main thread between two bytecodes."""
        before, self._stop = self._stop, stop
        try:
            yield
        finally:
            self._stop = None if self.happened else before

    def _signalled(self, *_: object) -> None:
        if self.happened or self._stop is None:
            _leave()
        self.happened = True
        self._stop()


#: One for the process, as signals are.
interruption: Final = Interruption()


@contextmanager
def _woken_by_signals(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Wake the loop at each signal; one that comes just before the loop's system call is seen after it otherwise."""
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.settimeout(0)
        writer.settimeout(0)
        loop.add_reader(reader, reader.recv, 512)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(reader)


def _leave() -> NoReturn:
    """End the process at once. PostgreSQL rolls back what was open, and the embedded server ends by itself."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR.encode())  # a progress bar hides it
    os._exit(INTERRUPTED)
