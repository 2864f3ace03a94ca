"""Who watches which story: each socket has a bounded queue, so a slow one holds nobody up."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final
from uuid import UUID

from livingworld import World
from livingworld.errors import LivingWorldError

#: Messages that wait for a slow reader; then it is told to load the story again.
_WAITING: Final = 500
#: How often a watched story is looked at for what other servers have written.
_POLL_SECONDS: Final = 0.3

Message = dict[str, Any]


class Watcher:
    """One socket."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Message] = asyncio.Queue(_WAITING)

    def tell(self, message: Message) -> None:
        """Hand over a message; when too many wait, they are dropped for one that says so."""
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            while not self._queue.empty():
                self._queue.get_nowait()
            self._queue.put_nowait({"type": "reload"})

    async def next(self) -> Message:
        """Return the next message."""
        return await self._queue.get()


class Live:
    """Every watcher of this process; stories that somebody watches are polled for what other processes write."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._watchers: dict[UUID, set[Watcher]] = defaultdict(set)
        self._polls: dict[UUID, asyncio.Task[None]] = {}

    @contextmanager
    def watching(self, story_id: UUID) -> Iterator[Watcher]:
        """Watch a story while the block runs."""
        watcher = Watcher()
        self._watchers[story_id].add(watcher)
        if story_id not in self._polls:
            self._polls[story_id] = asyncio.create_task(self._poll(story_id))
        try:
            yield watcher
        finally:
            self._watchers[story_id].discard(watcher)
            if not self._watchers[story_id]:
                del self._watchers[story_id]
                self._polls.pop(story_id).cancel()

    def tell(self, story_id: UUID, message: Message) -> None:
        """Tell everybody who watches a story."""
        for watcher in list(self._watchers.get(story_id, ())):
            watcher.tell(message)

    async def close(self) -> None:
        """Stop polling."""
        polls = list(self._polls.values())
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)

    async def _poll(self, story_id: UUID) -> None:
        seen: object = None
        while True:
            with suppress(LivingWorldError):  # the server may be away; the next look tells
                head = await self._world.stories.head(story_id)
                found = (head.branch, head.scene.version if head.scene else 0)
                if seen not in {None, found}:
                    self.tell(story_id, {"type": "changed", "head": head.branch.head, "branch": head.branch.number})
                seen = found
            await asyncio.sleep(_POLL_SECONDS)
