"""eventsourcing: a story is an aggregate, a scene is an event of it; its application with the PostgreSQL module.

The library is not asynchronous: each call runs in a thread. Aggregates are cached; a version conflict is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import IntegrityError
from scenes import SampleScene
from sqlalchemy import make_url

from peers import CONNECTIONS

T = TypeVar("T")


class Story(Aggregate):
    """A story that knows how many scenes it has."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.scene_count = 0

    @event("SceneAppended")
    def append(self, content: str, choices: tuple[str, ...]) -> None:
        """Append a scene."""
        assert len(choices) == 3
        assert content
        self.scene_count += 1


class EventsourcingApplication:
    """Its application and the threads that call it."""

    def __init__(self, application: Application[UUID], threads: ThreadPoolExecutor) -> None:
        self._application = application
        self._threads = threads

    async def begin(self, count: int) -> Sequence[UUID]:
        """Begin so many stories."""
        stories = [Story("benchmark") for _ in range(count)]
        for story in stories:
            await self._in_thread(self._application.save, story)
        return [story.id for story in stories]

    async def append(self, story_id: UUID, scene: SampleScene) -> object:
        """Append a scene."""
        return await self._in_thread(self._append, story_id, scene)

    async def stored(self, story_ids: Sequence[UUID]) -> int:
        """Return how many scenes of these stories are stored."""
        return sum([await self._in_thread(self._count, story_id) for story_id in story_ids])

    def _append(self, story_id: UUID, scene: SampleScene) -> None:
        while True:
            story: Story = self._application.repository.get(story_id)
            story.append(scene.content, scene.choices)
            try:
                self._application.save(story)
            except IntegrityError:
                continue
            return

    def _count(self, story_id: UUID) -> int:
        story: Story = self._application.repository.get(story_id)
        return story.scene_count

    async def _in_thread(self, call: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)


def _application(url: str) -> Application[UUID]:
    address = make_url(url)
    return Application(
        env={
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": address.database or "",
            "POSTGRES_HOST": str(address.query.get("host") or address.host),
            "POSTGRES_PORT": str(address.query.get("port") or address.port or 5432),
            "POSTGRES_USER": address.username or "",
            "POSTGRES_PASSWORD": address.password or "none",
            "POSTGRES_POOL_SIZE": str(CONNECTIONS),
            "POSTGRES_MAX_OVERFLOW": "0",
            "POSTGRES_MAX_WAITING": "1000",
            "AGGREGATE_CACHE_MAXSIZE": "1000",
        }
    )


async def prepare(url: str) -> str:
    """Make the tables."""
    _application(url).close()
    return "eventsourcing"


@asynccontextmanager
async def opened(url: str, _: str) -> AsyncIterator[EventsourcingApplication]:
    """Open the application."""
    application = _application(url)
    try:
        with ThreadPoolExecutor(CONNECTIONS) as threads:
            yield EventsourcingApplication(application, threads)
    finally:
        application.close()
