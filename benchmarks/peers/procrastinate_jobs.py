"""procrastinate: a scene is a job that is deferred, with its story as the lock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from scenes import SampleScene
from sqlalchemy import make_url

from peers import CONNECTIONS


class ProcrastinateJobs:
    """Its application."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def begin(self, count: int) -> Sequence[UUID]:
        """Name so many stories."""
        return [uuid4() for _ in range(count)]

    async def append(self, story_id: UUID, scene: SampleScene) -> object:
        """Defer a scene as a job."""
        task = self._app.configure_task("append", lock=str(story_id))
        return await task.defer_async(content=scene.content, choices=list(scene.choices))

    async def stored(self, story_ids: Sequence[UUID]) -> int:
        """Return how many jobs of these stories are stored."""
        count = "SELECT count(*) AS jobs FROM procrastinate_jobs WHERE lock = ANY (%(locks)s)"
        row = await self._app.connector.execute_query_one_async(count, locks=[str(story_id) for story_id in story_ids])
        return int(row["jobs"])


def _app(url: str) -> App:
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return App(connector=PsycopgConnector(conninfo=address, min_size=CONNECTIONS, max_size=CONNECTIONS))


async def prepare(url: str) -> str:
    """Make the tables, unless they are there."""
    async with _app(url).open_async() as app:
        try:
            await app.schema_manager.apply_schema_async()
        except ConnectorException:
            assert await app.check_connection_async(), "the tables of procrastinate are missing"
    return "procrastinate"


@asynccontextmanager
async def opened(url: str, _: str) -> AsyncIterator[ProcrastinateJobs]:
    """Open the application."""
    async with _app(url).open_async() as app:
        yield ProcrastinateJobs(app)
