"""The same queue in procrastinate: a lock for each lane, claimed and finished by the calls that its worker makes."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from procrastinate import App, PsycopgConnector
from procrastinate.jobs import Job, Status
from sqlalchemy import make_url


class Procrastinate:
    """Its application, opened on a schema of its own."""

    def __init__(self, url: str, size: int) -> None:
        address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._app = App(connector=PsycopgConnector(conninfo=address, min_size=size, max_size=size))
        self._worker = 0

    async def __aenter__(self) -> Self:
        await self._app.open_async()
        await self._app.schema_manager.apply_schema_async()
        self._worker = await self._app.job_manager.register_worker()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._app.close_async()

    async def enqueue(self, lanes: Sequence[str]) -> None:
        """Put one job into each of the lanes named, as often as it is named."""
        jobs = [
            Job(
                id=None,
                lock=lane,
                queueing_lock=None,
                task_name="walk",
                queue="default",
                task_kwargs={"to": "the quay"},
            )
            for lane in lanes
        ]
        await self._app.job_manager.batch_defer_jobs_async(jobs)

    async def claim(self) -> Job | None:
        """Claim what is next."""
        return await self._app.job_manager.fetch_job(queues=None, worker_id=self._worker)

    async def finish(self, job: Job) -> None:
        """End it as done."""
        await self._app.job_manager.finish_job(job, status=Status.SUCCEEDED, delete_job=False)
