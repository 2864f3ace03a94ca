"""Who watches which story here, and what any server on this database publishes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from livingworld import LiveEvent, Missed, World
from livingworld.errors import LivingWorldError, NotFound

#: Messages that wait for a slow reader; then it gets one message instead: load the story again.
_WAITING: Final = 500
#: When the database is away, it is asked again after so many seconds.
_AGAIN_SECONDS: Final = 1.0
#: The kinds of this application's own events; what they mean stands in relay.py.
OWN_KINDS: Final = frozenset({"turns", "words", "stop"})

Message = dict[str, Any]
Receive = Callable[[UUID, str, Mapping[str, Any]], None]


class Watcher:
    """One socket."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Message] = asyncio.Queue(_WAITING)

    def send(self, message: Message) -> None:
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


@dataclass
class Follow:
    """A story that is followed for whoever watches it here."""

    task: asyncio.Task[None]
    began: asyncio.Event
    watchers: set[Watcher] = field(default_factory=set)


class Live:
    """Every watcher of this process."""

    def __init__(self, world: World, receive: Receive) -> None:
        self._world = world
        self._receive = receive
        self._follows: dict[UUID, Follow] = {}

    @asynccontextmanager
    async def watching(self, story_id: UUID) -> AsyncIterator[Watcher]:
        """Watch a story while the block runs; whatever is committed after its beginning is sent."""
        watcher = Watcher()
        follow = self._follows.get(story_id) or self._start(story_id)
        follow.watchers.add(watcher)
        try:
            await follow.began.wait()
            yield watcher
        finally:
            follow.watchers.discard(watcher)
            if not follow.watchers:
                del self._follows[story_id]
                follow.task.cancel()

    def send(self, story_id: UUID, message: Message) -> None:
        """Send a message to all who watch a story here."""
        if story_id in self._follows:
            for watcher in self._follows[story_id].watchers:
                watcher.send(message)

    async def close(self) -> None:
        """Stop following."""
        tasks = [follow.task for follow in self._follows.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, story_id: UUID) -> Follow:
        began = asyncio.Event()
        follow = Follow(asyncio.create_task(self._follow(story_id, began)), began)
        self._follows[story_id] = follow
        return follow

    async def _follow(self, story_id: UUID, began: asyncio.Event) -> None:
        """Send what happens; when the database was away, go on after what was sent last."""
        position: int | None = None
        while True:
            try:
                async with self._world.live.subscribe(story=story_id, after=position) as events:
                    began.set()
                    async for event in events:
                        await self._pass_on(story_id, event)
                        position = events.position
            except NotFound:
                return
            except LivingWorldError:
                await asyncio.sleep(_AGAIN_SECONDS)
            finally:
                began.set()

    async def _pass_on(self, story_id: UUID, event: LiveEvent | Missed) -> None:
        if isinstance(event, LiveEvent) and event.kind in OWN_KINDS:
            self._receive(story_id, event.kind, event.details)
            return
        head = await self._world.stories.head(story_id)  # whatever changed, and also when some events were missed
        self.send(story_id, {"type": "changed", "head": head.branch.head, "branch": head.branch.number})
