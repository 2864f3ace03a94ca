"""Where a unit may begin: in the event loop that opened the LivingWorld, outside of its open transactions.

A driver's connection belongs to one event loop, and the process can die when another one uses it. A call that needs a
second connection while its caller holds one ends in a pool timeout as soon as enough callers do the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from dataclasses import dataclass

from livingworld.deadlines import without_deadline
from livingworld.errors import AlreadyInTransaction, WrongEventLoop


@dataclass(slots=True, eq=False)
class _OpenBlock:
    """A block that is in a transaction. Tasks that are started in it inherit it, and may outlive it."""

    admission: Admission
    outer: _OpenBlock | None
    is_open: bool = True


_innermost: ContextVar[_OpenBlock | None] = ContextVar("livingworld open transaction", default=None)


class Admission:
    """Checks whether a unit of one LivingWorld may begin here; made in the event loop of that LivingWorld."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def refuse_other_loops(self) -> None:
        """Raise WrongEventLoop in any other event loop, or in none."""
        if running_loop() is not self._loop:
            raise WrongEventLoop

    def refuse_misplaced(self) -> None:
        """Raise WrongEventLoop, or AlreadyInTransaction inside an open transaction of the same LivingWorld."""
        self.refuse_other_loops()
        block = _innermost.get()
        while block is not None:
            if block.is_open and block.admission is self:
                raise AlreadyInTransaction
            block = block.outer

    @contextmanager
    def in_transaction(self) -> Iterator[None]:
        """Refuse units that are begun inside the block, in its task and in tasks that are started in it."""
        block = _OpenBlock(self, _innermost.get())
        _innermost.set(block)
        try:
            yield
        finally:
            block.is_open = False
            if _innermost.get() is block:  # a generator may be closed by another task
                _innermost.set(block.outer)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs here, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def outside() -> Context:
    """Return the context for a task that serves all callers: outside of any transaction and of any call's deadline."""
    context = without_deadline()
    context.run(_innermost.set, None)
    return context
