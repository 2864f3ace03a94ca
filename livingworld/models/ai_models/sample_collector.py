"""Training samples that are taken without waiting, and stored in batches in the background."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from typing import Any, Final

from livingworld.errors import (
    Closed,
    ConnectionRejected,
    LivingWorldError,
    SamplesNotStored,
    SerializationFailure,
    Timeout,
    Unavailable,
    WorldNotFound,
)
from livingworld.models.ai_models.new_sample import PreparedSample, prepare
from livingworld.models.ai_models.records import AIModel, NewSample, SampleResult
from livingworld.models.ai_models.sample_repository import store
from livingworld.observability import events
from livingworld.postgres.transactions.world_unit import WorldUnit

#: Most characters of one statement, beyond its first sample.
_BATCH_CHARACTERS: Final = 4_000_000
#: What passes: the samples wait for it in the buffer.
_PASSING: Final = (Timeout, Unavailable, ConnectionRejected, SerializationFailure, Closed)
#: Between two tries at the end.
_PAUSE_SECONDS: Final = 0.1


class SampleCollector:
    """A bounded buffer of samples; made by `World.ai_models.collecting`."""

    def __init__(
        self,
        unit: WorldUnit,
        *,
        max_buffered: int,
        max_characters: int,
        flush_size: int,
        flush_every: timedelta,
    ) -> None:
        self._unit = unit
        self._max_buffered = max_buffered
        self._max_characters = max_characters
        self._flush_size = flush_size
        self._flush_every = flush_every
        #: Taken and not known to be stored, also while a statement with them is under way.
        self._buffer: deque[PreparedSample] = deque()
        self._characters = 0
        self._stopping = False
        self._wake = asyncio.Event()
        self._stop_asked = asyncio.Event()
        #: How many drops were warned of, and when the next warning may come.
        self._warned = 0
        self._next_warning = 0.0
        #: How many were taken, given away because the buffer was full, stored, and refused by the database.
        self.taken = 0
        self.dropped = 0
        self.stored = 0
        self.refused = 0

    @property
    def buffered(self) -> int:
        """How many are taken and not stored yet: taken = stored + refused + buffered."""
        return len(self._buffer)

    def add(
        self,
        role: str,
        input: Any,  # noqa: A002, ANN401 - what a model is given is called so
        output: Any,  # noqa: ANN401 - a JSON value
        *,
        model: AIModel | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> bool:
        """Take a sample to be stored soon, at once and without waiting; False: the buffer is full, and it is dropped.

        `model` is the one that answered, None where a person did. Raises InvalidInput, and Closed after the block.
        """
        if self._stopping:
            raise Closed
        kept = {} if metadata is None else metadata
        given = NewSample(role=role, input=input, output=output, model=model, metadata=kept)
        sample = prepare("sample", given)
        if len(self._buffer) >= self._max_buffered or self._characters + len(sample.text) > self._max_characters:
            self.dropped += 1
            self._warn()
            return False
        self._buffer.append(sample)
        self._characters += len(sample.text)
        self.taken += 1
        if len(self._buffer) >= self._flush_size:
            self._wake.set()
        return True

    async def run(self) -> None:
        """Store what is due, by number or by age, until `stop` is asked for."""
        while not self._stopping:
            await _wait(self._wake, self._flush_every)
            self._wake.clear()
            self._warn()
            try:
                await self._flush()
            except _PASSING as error:
                fields = {"buffered": self.buffered, "error": type(error).__name__}
                events.emit(events.SAMPLES_DELAYED, world_id=self._unit.world_id, **fields)
                await _wait(self._stop_asked, self._flush_every)

    async def stop(self, running: asyncio.Task[None], within: timedelta) -> SamplesNotStored | None:
        """Refuse further samples, store what is left, and return the error to raise when that is not done in time."""
        self._stopping = True
        self._wake.set()
        self._stop_asked.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                await asyncio.wait([running])
                await self._flush_to_the_end()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        self._warn(at_end=True)
        if self.stored == self.taken:
            return None
        left = tuple(sample.given_back() for sample in self._buffer)
        events.emit(events.SAMPLES_NOT_STORED, world_id=self._unit.world_id, refused=self.refused, left=len(left))
        return SamplesNotStored(samples=left, taken=self.taken, refused=self.refused, left=len(left))

    async def _flush_to_the_end(self) -> None:
        while self._buffer:
            try:
                await self._flush()
            except Closed:
                return
            except _PASSING:
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _flush(self) -> None:
        while self._buffer:
            await self._store(self._next_batch())

    def _next_batch(self) -> list[PreparedSample]:
        batch: list[PreparedSample] = []
        characters = 0
        for sample in islice(self._buffer, self._flush_size):
            characters += len(sample.text)
            if batch and characters > _BATCH_CHARACTERS:
                break
            batch.append(sample)
        return batch

    async def _store(self, batch: Sequence[PreparedSample]) -> None:
        """Store the first samples of the buffer, and let go of them only then; a bad one fails alone."""
        try:
            results = await store(self._unit, batch)
        except _PASSING:
            raise
        except LivingWorldError as error:
            if len(batch) > 1 and not isinstance(error, WorldNotFound):
                await self._store(batch[: len(batch) // 2])
                await self._store(batch[len(batch) // 2 :])
                return
            results = tuple(SampleResult(id=sample.id, error=error) for sample in batch)
        for result in results:
            self._let_go(result)

    def _let_go(self, result: SampleResult) -> None:
        self._characters -= len(self._buffer.popleft().text)
        if result.error is None:
            self.stored += 1
            return
        self.refused += 1
        fields = {"sample_id": result.id, "error": type(result.error).__name__}
        events.emit(events.SAMPLE_REFUSED, world_id=self._unit.world_id, **fields)

    def _warn(self, *, at_end: bool = False) -> None:
        """Warn of the samples dropped since the last warning, at most once in a flush interval."""
        unreported, now = self.dropped - self._warned, time.monotonic()
        if not unreported or (not at_end and now < self._next_warning):
            return
        self._warned, self._next_warning = self.dropped, now + self._flush_every.total_seconds()
        events.emit(events.SAMPLES_DROPPED, world_id=self._unit.world_id, dropped=unreported, buffered=self.buffered)


async def _wait(event: asyncio.Event, timeout: timedelta) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout.total_seconds()):
            await event.wait()
