"""Opening a LivingWorld whose calls block, and the deadline of blocking calls."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Self

from livingworld.app.livingworld import LivingWorld as AsynchronousLivingWorld
from livingworld.deadlines import bound_calls
from livingworld.inputs import check_duration
from livingworld.settings.settings import Settings
from livingworld.sync import generated
from livingworld.sync.mirror import Block
from livingworld.sync.portal import Portal, caller, close_at_exit, forget


class LivingWorld(generated.LivingWorld):
    """An open connection to one database and its worlds, with calls that block, for any thread; made by `open`."""

    __slots__ = ("_block",)
    _block: Block[Any]

    @classmethod
    @contextmanager
    def open(cls, settings: Settings | None = None, *, database_url: str | None = None) -> Iterator[Self]:
        """Connect as `livingworld.LivingWorld.open` does, and leave nothing behind when the block ends."""
        livingworld = cls.connect(settings, database_url=database_url)
        try:
            yield livingworld
        finally:
            livingworld.close()

    @classmethod
    def connect(cls, settings: Settings | None = None, *, database_url: str | None = None) -> Self:
        """Connect as `open` does without a block: closed by `close`, or else when the interpreter ends."""
        portal = Portal()
        block: Block[generated.LivingWorld] = Block(
            portal, AsynchronousLivingWorld.open, (settings,), {"database_url": database_url}
        )
        try:
            opened = block.__enter__()
        except BaseException:
            portal.close()
            raise
        block.outlive_thread()
        livingworld = cls(portal, opened._original)  # noqa: SLF001 - its own
        livingworld._block = block
        close_at_exit(livingworld, livingworld.close)
        return livingworld

    def close(self) -> None:
        """End what is under way, and leave no thread and no connection behind; again, or after a fork, does nothing."""
        forget(self)
        if self._portal.is_open:
            try:
                self._block.__exit__(None, None, None)
            finally:
                self._portal.close()


@contextmanager
def deadline(limit: timedelta) -> Iterator[None]:
    """Bound every call of this thread inside the block, as `livingworld.deadline` does."""
    end = time.monotonic() + check_duration("limit", limit).total_seconds()  # the clock of every event loop
    context = caller.context()
    context.run(bound_calls, end)
    caller.contexts.append(context)
    try:
        yield
    finally:
        caller.contexts.remove(context)
