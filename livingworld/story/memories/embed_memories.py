"""Give memories their vectors, and recall them by a text."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from livingworld.background.periodic_service import running
from livingworld.inputs import canonical_json, check_integer, storable_error_text
from livingworld.models.embeddings.embedder import check_embedder
from livingworld.models.embeddings.pipeline import EmbeddingPipeline
from livingworld.models.embeddings.records import Embedded
from livingworld.observability import events
from livingworld.observability.metrics import Metrics
from livingworld.postgres.transactions.world_unit import WorldUnit
from livingworld.story.memories import embedding_jobs, recalling
from livingworld.story.memories.embedding_jobs import EmbeddingJob
from livingworld.story.memories.records import Recollection
from livingworld.story.memories.repository import MemoryRepository
from livingworld.story.stories.at_least import wanted

#: Memories of one round.
MAX_JOBS: Final = 1000
#: How long a claim lasts: then it is free again.
_PATIENCE: Final = timedelta(minutes=5)
#: How long a job rests after its first failure; each time longer.
_PAUSE: Final = timedelta(seconds=5)
_ERROR_CHARACTERS: Final = 500


class MemoryEmbeddings:
    """The vectors of one world's memories; made by `World.memory_embeddings`.

    The first pipeline is the embedder that the world has or is to have; the others embed queries until its vectors are
    complete.
    """

    def __init__(self, unit: WorldUnit, pipelines: Sequence[EmbeddingPipeline], metrics: Metrics) -> None:
        self._unit = unit
        self._metrics = metrics
        self._pipeline = pipelines[0]
        self._by_name = {check_embedder(pipeline.embedder)[0]: pipeline for pipeline in pipelines}
        self._name, self._dimensions = check_embedder(self._pipeline.embedder)
        self._memories = MemoryRepository(unit)
        #: Whether the world has an embedder, this one or another.
        self._begun = False

    async def use(self) -> None:
        """Make the embedder the world's in place of another, as MemoryRepository.use_embedder does.

        The first one needs no such call: it is the world's from the first round on.
        """
        await self._memories.use_embedder(self._name, self._dimensions)

    async def run_once(self, limit: int = 64) -> int:
        """Embed up to `limit` memories that have no vector yet, and return how many got one; 0: nothing is left to do.

        Several processes may do so at once, none does another's work, and what a dead one had claimed is free again
        after 5 minutes. No transaction is open while the embedder works. In a world without an embedder this one is its
        first. When every memory has its vector and the embedder was to take over, it does. Failed ones are tried again
        later.
        """
        check_integer("limit", limit, minimum=1, maximum=MAX_JOBS)
        await self._begin()
        jobs = await self._unit.write_single(embedding_jobs.claim, self._name, limit, _PATIENCE)
        if not jobs:
            await self._unit.write_idempotent(embedding_jobs.switch, self._name)
            return 0
        embedded = await self._pipeline.embed_each_apart([job.content for job in jobs])
        await self._put_off(jobs, embedded)
        return await self._store(jobs, embedded)

    async def run_all(self, limit: int = 64) -> int:
        """Embed until nothing is left that could be tried now, and return how many memories got a vector."""
        count = 0
        while done := await self.run_once(limit):
            count += done
        return count

    def running(self, every: timedelta = timedelta(seconds=1)) -> AbstractAsyncContextManager[None]:
        """Embed in the background while the block runs, looking for work about once in `every`."""
        self._unit.refuse_misplaced()
        return running("memory embeddings", self.run_once, every=every, metrics=self._metrics)

    async def recall(self, story_id: UUID, query: str, **options: Any) -> Recollection:  # noqa: ANN401
        """Return the memories that come first for a text; options and errors as MemoryRepository.recall.

        The text is embedded by the world's embedder of the moment; where none of the pipelines is that one, the words
        decide.
        """
        wanted(self._unit, options.get("at_least"), story_id)
        narrowing = {name: value for name, value in options.items() if name != "at_least"}
        recalling.checked(story_id, recalling.checked_query(query), **narrowing)  # before the embedder is asked
        current = await self._unit.read(embedding_jobs.current_embedder)
        pipeline = None if current is None else self._by_name.get(current)
        if pipeline is None:
            return await self._memories.recall(story_id, query, **options)
        (vector,) = await pipeline.embed([query])
        return await self._memories.recall(story_id, vector, text=query, embedder=current, **options)

    async def _begin(self) -> None:
        """Make the embedder the world's if that has none."""
        if not self._begun:
            if await self._unit.read(embedding_jobs.current_embedder) is None:
                first = partial(embedding_jobs.begin, only_first=True)
                await self._unit.write_idempotent(first, self._name, self._dimensions)
            self._begun = True

    async def _store(self, jobs: Sequence[EmbeddingJob], embedded: Embedded) -> int:
        vectors = {
            str(jobs[place].memory_id): list(vector)
            for place, vector in enumerate(embedded.vectors)
            if vector is not None
        }
        done = [jobs[place] for place in embedded.embedded]
        return await self._unit.write_single(embedding_jobs.finish, self._name, done, canonical_json(vectors))

    async def _put_off(self, jobs: Sequence[EmbeddingJob], embedded: Embedded) -> None:
        if not embedded.failures:
            return
        failed = [jobs[place] for place in embedded.missing]
        error = storable_error_text(next(iter(embedded.failures.values())), limit=_ERROR_CHARACTERS)
        fields = {"embedder": self._name, "memories": len(failed)}
        events.emit(events.MEMORIES_NOT_EMBEDDED, world_id=self._unit.world_id, **fields)
        await self._unit.write_single(embedding_jobs.fail, self._name, failed, error, _PAUSE)
