"""The AI models of one world as a program uses them: the registry, what it serves, and what it collects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from livingworld.inputs import MAX_TTL, check_duration, check_function, check_integer
from livingworld.models.ai_models.hosting import ModelHost
from livingworld.models.ai_models.loaded_model import Close, Closing
from livingworld.models.ai_models.loading import Loader, Loading, Probe, check_close, check_loaders
from livingworld.models.ai_models.repository import AIModelRepository
from livingworld.models.ai_models.sample_collector import SampleCollector
from livingworld.postgres.keyset import MAX_PAGE_SIZE
from livingworld.postgres.services import Services


class AIModels(AIModelRepository):
    """The AI models of one world, and what serves them and collects samples of them in this process."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.unit)
        self._services = services

    @asynccontextmanager
    async def serving(
        self,
        loaders: Mapping[str, Loader],
        *,
        probe: Probe,
        close: Close | None = None,
        load_within: timedelta = timedelta(minutes=10),
        close_within: timedelta = timedelta(minutes=1),
    ) -> AsyncIterator[ModelHost]:
        """Serve models in this process while the block runs, and close every one of them when it is left.

        `loaders` has an async function of an AIModel for each role; `probe(handle, model)` raises when what it brought
        does not answer as it should. `close(handle)` closes it, by default its own `aclose` or `close`. A model that
        becomes active is loaded, probed and swapped in as soon as this process is notified, within the polling
        interval at the latest; one that fails leaves the former in service and is tried again. `close_within` is the
        time that the last users of a replaced model have, and that closing may take.
        """
        check_function("probe", probe)
        closing = Closing(
            world_id=self._services.world_id,
            close=check_close(close),
            within=_check_time("close_within", close_within),
            start=self._services.tasks.finish,
        )
        within = _check_time("load_within", load_within)
        loading = Loading(loaders=check_loaders(loaders), probe=probe, within=within, closing=closing)
        self._unit.refuse_misplaced()
        host = ModelHost(self._services, loading)
        try:
            yield host
        finally:
            await asyncio.shield(self._services.tasks.finish(host.close()))

    @asynccontextmanager
    async def collecting(
        self,
        *,
        max_buffered: int = 10_000,
        max_characters: int = 100_000_000,
        flush_size: int = 500,
        flush_every: timedelta = timedelta(seconds=1),
        stop_within: timedelta = timedelta(seconds=30),
    ) -> AsyncIterator[SampleCollector]:
        """Take training samples without waiting while the block runs, and store them in batches in the background.

        A batch goes when it has `flush_size` samples, or after `flush_every`. While the server is away they wait, up to
        `max_buffered` and `max_characters`; what comes then is dropped, counted and warned about. When the block is
        left, all that were taken are stored; those that are not within `stop_within`, or were refused, are reported by
        SamplesNotStored, which has them, or by an event where the block was left by an error.
        """
        most = check_integer("max_buffered", max_buffered, minimum=1)
        batch = check_integer("flush_size", flush_size, minimum=1, maximum=MAX_PAGE_SIZE)
        collector = SampleCollector(
            self._unit,
            max_buffered=most,
            max_characters=check_integer("max_characters", max_characters, minimum=1),
            flush_size=min(batch, most),
            flush_every=_check_time("flush_every", flush_every),
        )
        within = _check_time("stop_within", stop_within)
        self._unit.refuse_misplaced()
        tasks = self._services.tasks
        running = tasks.watch(collector.run())
        try:
            yield collector
        except BaseException:
            await asyncio.shield(tasks.finish(collector.stop(running, within)))
            raise
        if (error := await asyncio.shield(tasks.finish(collector.stop(running, within)))) is not None:
            raise error


def _check_time(field: str, value: timedelta) -> timedelta:
    """Return a time that can be waited for: more than nothing."""
    return check_duration(field, value, minimum=timedelta.resolution, maximum=MAX_TTL)
